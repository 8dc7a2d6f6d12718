import type { Picture } from "../../src/index.ts";
import { type Box, distance, pixel, pixelsIn } from "./palette.ts";

/** The mean difference of two pictures of one size, over the pixels that `where` picks; 0 to 255. */
export function meanDifference(a: Picture, b: Picture, where: (x: number, y: number) => boolean = () => true): number {
  let [sum, count] = [0, 0];
  for (let y = 0; y < a.height; y++) {
    for (let x = 0; x < a.width; x++) {
      if (!where(x, y)) continue;
      sum += Math.sqrt(distance(pixel(a, x, y), pixel(b, x, y)) / 3);
      count++;
    }
  }
  return sum / count;
}

/** A picture of one colour channel less: how bright each pixel of a box is, less the box's mean. What is left is layout. */
function relief(picture: Picture, box: Box): number[] {
  const bright = pixelsIn(picture, box).map(([red, green, blue]) => red * 0.3 + green * 0.59 + blue * 0.11);
  const mean = bright.reduce((a, b) => a + b, 0) / bright.length;
  return bright.map((value) => value - mean);
}

/** How alike two pictures are in layout: the correlation of their brightness, -1 to 1. */
export function likeness(a: Picture, b: Picture): number {
  const box = { left: 0, top: 0, right: a.width, bottom: a.height };
  const [one, other] = [relief(a, box), relief(b, box)];
  const dot = (left: readonly number[], right: readonly number[]): number =>
    left.reduce((sum, value, i) => sum + value * (right[i] ?? 0), 0);
  return dot(one, other) / Math.sqrt(dot(one, one) * dot(other, other));
}
