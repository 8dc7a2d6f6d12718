import type { Picture } from "../../src/index.ts";

/** Red, green and blue, 0 to 255. */
export type Colour = readonly [number, number, number];

/** What the demo's teacher (models/kiln-demo-recipe/scenes.py) painted under each name. */
export const COLOURS = {
  red: [214, 46, 50],
  orange: [244, 138, 34],
  yellow: [250, 212, 62],
  green: [54, 160, 88],
  blue: [44, 106, 206],
  purple: [128, 70, 180],
  white: [246, 246, 242],
  black: [34, 34, 40],
} as const satisfies Record<string, Colour>;

export type ColourName = keyof typeof COLOURS;
export const COLOUR_NAMES: readonly ColourName[] = ["red", "orange", "yellow", "green", "blue", "purple", "white", "black"];

/** The name whose colour is nearest. */
export function nearest(colour: Colour): ColourName {
  return COLOUR_NAMES.reduce((best, name) => (distance(colour, COLOURS[name]) < distance(colour, COLOURS[best]) ? name : best));
}

/** The square of the distance of two colours. */
export function distance(a: Colour, b: Colour): number {
  return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2;
}

export function pixel({ data, width }: Picture, x: number, y: number): Colour {
  const at = (y * width + x) * 3;
  return [data[at] ?? 0, data[at + 1] ?? 0, data[at + 2] ?? 0];
}

/** A part of a picture in pixels; `right` and `bottom` lie outside. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export function pixelsIn(picture: Picture, { left, top, right, bottom }: Box): Colour[] {
  const pixels: Colour[] = [];
  for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) pixels.push(pixel(picture, x, y));
  return pixels;
}

/** The median of each channel on its own. */
export function median(pixels: readonly Colour[]): Colour {
  const channel = (index: 0 | 1 | 2): number => {
    const sorted = pixels.map((colour) => colour[index]).sort((a, b) => a - b);
    const half = Math.floor(sorted.length / 2);
    const upper = sorted[half] ?? 0;
    return sorted.length % 2 === 1 ? upper : (upper + (sorted[half - 1] ?? 0)) / 2;
  };
  return [channel(0), channel(1), channel(2)];
}
