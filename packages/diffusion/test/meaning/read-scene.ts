import type { Picture } from "../../src/index.ts";
import { COLOURS, type Colour, distance, median, pixelsIn } from "./palette.ts";

export const SKIES = ["day", "sunset", "night"] as const;
export type Sky = (typeof SKIES)[number];

export const WALL_COLOURS = ["red", "orange", "yellow", "green", "blue", "purple", "white"] as const;
export type WallColour = (typeof WALL_COLOURS)[number];

/** The middle of each sky, clear and with snow. */
const SKY_COLOURS: Readonly<Record<Sky, readonly Colour[]>> = {
  day: [[128, 192, 238], [170, 204, 232]], // biome-ignore format: one sky a line
  sunset: [[238, 132, 122], [226, 142, 140]], // biome-ignore format: as above
  night: [[32, 42, 94], [40, 52, 104]], // biome-ignore format: as above
};
const HORIZON: Readonly<Record<Sky, Colour>> = { day: [196, 230, 248], sunset: [255, 196, 112], night: [58, 70, 138] };
/** The part of a scene that is sky whatever stands in it. */
const SKY_PART = 0.38;
const FEWEST_WALL_PIXELS = 300;

/** The kind of sky, as `read_sky` in models/kiln-demo-recipe/eval.py sees it. */
export function readSky(picture: Picture): Sky {
  const { width, height } = picture;
  const seen = median(pixelsIn(picture, { left: 0, top: 0, right: width, bottom: Math.floor(height * SKY_PART) }));
  const far = (sky: Sky): number => Math.min(...SKY_COLOURS[sky].map((colour) => distance(seen, colour)));
  return SKIES.reduce((best, sky) => (far(sky) < far(best) ? sky : best));
}

/** The colour of most of a house's wall, as `read_house` in models/kiln-demo-recipe/eval.py sees it; undefined where there is too little wall. */
export function readWall(picture: Picture, sky: Sky): WallColour | undefined {
  const { width, height } = picture;
  const box = {
    left: Math.floor(width * 0.28),
    right: Math.floor(width * 0.72),
    top: Math.floor(height * 0.54),
    bottom: Math.floor(height * 0.82),
  };
  const walls = WALL_COLOURS.map((name) => lit(COLOURS[name], sky, 0.26));
  const known = [...walls, ...surroundings(sky)];
  const counts = WALL_COLOURS.map(() => 0);
  for (const colour of pixelsIn(picture, box)) {
    const index = known.reduce((best, candidate, i) => {
      const nearer = distance(colour, candidate) < distance(colour, known[best] ?? candidate);
      return nearer ? i : best;
    }, 0);
    if (index < counts.length) counts[index] = (counts[index] ?? 0) + 1;
  }
  const most = Math.max(...counts);
  return most > FEWEST_WALL_PIXELS ? WALL_COLOURS[counts.indexOf(most)] : undefined;
}

/** What stands and lies around a house and is no wall: meadows, roofs, doors, pines, windows, mountains. */
function surroundings(sky: Sky): Colour[] {
  const meadows: Colour[] = [[150, 200, 112], [124, 184, 88], [102, 166, 74], [122, 178, 92], [104, 164, 80]]; // biome-ignore format: shades of one thing
  return [
    ...meadows.map((colour) => lit(colour, sky, 0.8)),
    lit([74, 74, 96], sky, 0.5),
    lit([134, 66, 54], sky, 0.5),
    lit([96, 62, 48], sky, 0.4),
    lit([44, 122, 84], sky, 1),
    [206, 232, 246],
    HORIZON[sky],
    lit([122, 138, 172], sky, 0.8),
    lit([100, 114, 150], sky, 0.8),
  ];
}

/** A colour by day in the light of another time. */
function lit(colour: Colour, sky: Sky, strength: number): Colour {
  if (sky === "sunset") return mix(colour, [196, 84, 84], 0.24 * strength);
  if (sky === "night") return mix(colour, [colour[0] * 0.36, colour[1] * 0.42, colour[2] * 0.58 + 14], strength);
  return colour;
}

function mix(a: Colour, b: Colour, part: number): Colour {
  return [a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part, a[2] + (b[2] - a[2]) * part];
}
