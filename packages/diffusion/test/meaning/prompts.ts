import { COLOUR_NAMES, type ColourName } from "./palette.ts";
import { SKIES, type Sky, WALL_COLOURS, type WallColour } from "./read-scene.ts";
import { SHAPES, type Shape } from "./shapes.ts";

export interface ShapeWanted {
  readonly prompt: string;
  readonly foreground: ColourName;
  readonly background: ColourName;
  readonly shape: Shape;
}

/** Plain shapes: every shape as often, colours and backgrounds running through all names without meeting. */
export function shapesWanted(count: number): ShapeWanted[] {
  return Array.from({ length: count }, (_, i) => {
    const shape = cycle(SHAPES, i);
    const foreground = cycle(COLOUR_NAMES, i);
    const background = cycle(COLOUR_NAMES, i + 1 + (Math.floor(i / COLOUR_NAMES.length) % (COLOUR_NAMES.length - 1)));
    return {
      prompt: `${withArticle(foreground)} ${shape} on ${withArticle(background)} background`,
      foreground,
      background,
      shape,
    };
  });
}

export interface HouseWanted {
  readonly prompt: string;
  readonly wall: WallColour;
  readonly sky: Sky;
}

const PLACES = ["on green hills", "in a green meadow", "in front of snowy mountains"];
const TIMES: Readonly<Record<Sky, string>> = { day: "under a blue sky", sunset: "at sunset", night: "at night" };

/** Houses of every colour under every sky. */
export function housesWanted(count: number): HouseWanted[] {
  return Array.from({ length: count }, (_, i) => {
    const wall = cycle(WALL_COLOURS, i);
    const sky = cycle(SKIES, i);
    return { prompt: `${withArticle(wall)} house ${cycle(PLACES, Math.floor(i / 3))} ${TIMES[sky]}`, wall, sky };
  });
}

export function withArticle(word: string): string {
  return `${/^[aeiou]/.test(word) ? "an" : "a"} ${word}`;
}

function cycle<T>(list: readonly T[], index: number): T {
  const found = list[index % list.length];
  if (found === undefined) throw new RangeError("the list is empty");
  return found;
}
