import { LIMITS, type Size } from "./settings.ts";

export interface SizePreset extends Size {
  readonly name: string;
  readonly label: string;
}

const SHAPES = [
  { name: "tall", label: "Tall, 9 to 16", ratio: 9 / 16 },
  { name: "portrait", label: "Portrait, 3 to 4", ratio: 3 / 4 },
  { name: "square", label: "Square", ratio: 1 },
  { name: "landscape", label: "Landscape, 4 to 3", ratio: 4 / 3 },
  { name: "wide", label: "Wide, 16 to 9", ratio: 16 / 9 },
] as const;

/** Sizes of about the model's own area, which is what it was trained on; for a 1024 x 1024 model these are SDXL's own buckets. */
export function sizePresets(own: Size): SizePreset[] {
  return SHAPES.map(({ name, label, ratio }) => ({ name, label, ...sizeOfRatio(own, ratio) }));
}

/** The size of the model's area nearest to `ratio` (width over height), with sides in steps of a sixteenth of the model's side. */
export function sizeOfRatio(own: Size, ratio: number): Size {
  const area = own.width * own.height;
  const side = Math.sqrt(area);
  const grain = Math.max(LIMITS.side.step, Math.round(side / 16 / LIMITS.side.step) * LIMITS.side.step);
  const flat = ratio >= 1 ? ratio : 1 / ratio;
  const short = clampSide(Math.round(side / Math.sqrt(flat) / grain) * grain);
  // Rounding down keeps the area within the model's, and so within the memory that its own size needs.
  const long = clampSide(Math.max(short, Math.floor(area / short / grain) * grain));
  return ratio >= 1 ? { width: long, height: short } : { width: short, height: long };
}

/** The nearest side that the service accepts. */
export function clampSide(side: number): number {
  const { min, max, step } = LIMITS.side;
  return Math.min(max, Math.max(min, Math.round(side / step) * step));
}
