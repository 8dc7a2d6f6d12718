import type { Picture } from "../../src/index.ts";
import { type Colour, type ColourName, distance, median, nearest, pixel, pixelsIn } from "./palette.ts";
import { SHAPES, type Shape, template } from "./shapes.ts";

/** What a picture of one plain shape shows. */
export interface SeenShape {
  readonly foreground: ColourName;
  readonly background: ColourName;
  /** The template that covers it best; undefined where nothing stands out from the background. */
  readonly shape: Shape | undefined;
  /** Intersection over union with that template, times how well the proportions agree: 1 is perfect. */
  readonly overlap: number;
}

const SIDE = 128;
const TEMPLATES = SHAPES.map((shape) => ({ shape, ...template(shape, SIDE) }));
/** Half the side of the patch in the middle of the picture that is taken for the shape. */
const MIDDLE = 14;
const FEWEST_PIXELS = 200;
const LEAST_CONTRAST = 900;

/** Reads a shape as `read_shape` in models/kiln-demo-recipe/eval.py does, so that its rates can be held against it. */
export function readShape(picture: Picture): SeenShape {
  const { width, height } = picture;
  const margin = Math.max(8, Math.floor(height / 16));
  const corners = [0, width - margin].flatMap((left) =>
    [0, height - margin].flatMap((top) => pixelsIn(picture, { left, top, right: left + margin, bottom: top + margin })),
  );
  const [x, y] = [Math.floor(width / 2), Math.floor(height / 2)];
  const middle = { left: x - MIDDLE, top: y - MIDDLE, right: x + MIDDLE, bottom: y + MIDDLE };
  const background = median(corners);
  const foreground = median(pixelsIn(picture, middle));
  const colours = { foreground: nearest(foreground), background: nearest(background) };
  const nothing = { ...colours, shape: undefined, overlap: 0 };
  if (distance(foreground, background) <= LEAST_CONTRAST) return nothing;
  const region = regionInTheMiddle(picture, foreground, background);
  return region.length <= FEWEST_PIXELS ? nothing : { ...colours, ...bestTemplate(region, width) };
}

/** The largest connected region of the foreground's colour that reaches into the middle, as indices of its pixels. */
function regionInTheMiddle(picture: Picture, foreground: Colour, background: Colour): number[] {
  const { width, height } = picture;
  const open = Uint8Array.from({ length: width * height }, (_, i) => {
    const colour = pixel(picture, i % width, Math.floor(i / width));
    return distance(colour, foreground) < distance(colour, background) ? 1 : 0;
  });
  let best: number[] = [];
  for (let y = Math.floor(height / 2) - MIDDLE; y < Math.floor(height / 2) + MIDDLE; y++) {
    for (let x = Math.floor(width / 2) - MIDDLE; x < Math.floor(width / 2) + MIDDLE; x++) {
      const region = flood(open, width, y * width + x);
      if (region.length > best.length) best = region;
    }
  }
  return best;
}

/** The pixels connected with `start` by their sides, which are closed in `open` as they are found. */
function flood(open: Uint8Array, width: number, start: number): number[] {
  const region: number[] = [];
  const waiting = [start];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    if (open[at] !== 1) continue;
    open[at] = 0;
    region.push(at);
    if (at % width > 0) waiting.push(at - 1);
    if (at % width < width - 1) waiting.push(at + 1);
    waiting.push(at - width, at + width);
  }
  return region;
}

function bestTemplate(region: readonly number[], width: number): { shape: Shape | undefined; overlap: number } {
  const columns = region.map((at) => at % width);
  const rows = region.map((at) => Math.floor(at / width));
  const least = (values: readonly number[]): number => values.reduce((a, b) => Math.min(a, b));
  const most = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b));
  const [left, top] = [least(columns), least(rows)];
  const [across, down] = [most(columns) - left + 1, most(rows) - top + 1];
  const covered = new Set(region);
  const box = Uint8Array.from({ length: SIDE * SIDE }, (_, i) => {
    const x = left + Math.floor((((i % SIDE) + 0.5) * across) / SIDE);
    const y = top + Math.floor(((Math.floor(i / SIDE) + 0.5) * down) / SIDE);
    return covered.has(y * width + x) ? 1 : 0;
  });
  let best: { shape: Shape | undefined; overlap: number } = { shape: undefined, overlap: 0 };
  for (const { shape, filled, aspect } of TEMPLATES) {
    const proportion = across / down / aspect;
    const overlap = intersectionOverUnion(box, filled) * Math.min(proportion, 1 / proportion);
    if (overlap > best.overlap) best = { shape, overlap };
  }
  return best;
}

function intersectionOverUnion(a: Uint8Array, b: Uint8Array): number {
  let [both, either] = [0, 0];
  a.forEach((value, i) => {
    if (value === 1 && b[i] === 1) both++;
    if (value === 1 || b[i] === 1) either++;
  });
  return both / either;
}
