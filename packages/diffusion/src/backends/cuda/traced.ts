import type { Value } from "../../graph/graph.ts";

/** A value of the model being written: its name, and its sizes as it lies. Images are (N, H, W, C). */
export interface Traced {
  readonly name: string;
  readonly shape: readonly number[];
  /** A bias that is still to be added along the last axis: the op that uses the value adds it with its own work. */
  readonly bias?: Value | undefined;
}

/** The last size. */
export function channelsOf({ shape }: Traced): number {
  return shape.at(-1) ?? 1;
}

/** An image's sizes. */
export function imageShape({ shape }: Traced): readonly [number, number, number, number] {
  const [n, h, w, c] = shape;
  if (n === undefined || h === undefined || w === undefined || c === undefined) {
    throw new Error(`[${shape.join(", ")}] is no image`);
  }
  return [n, h, w, c];
}

export function sameShape(a: Traced, b: Traced): boolean {
  return a.shape.length === b.shape.length && a.shape.every((size, axis) => size === b.shape[axis]);
}

/** What two shapes broadcast to, as in ONNX and numpy. */
export function broadcastShape(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const [one, other] = [a[axis - rank + a.length] ?? 1, b[axis - rank + b.length] ?? 1];
    if (one !== other && one !== 1 && other !== 1) throw new Error(`[${a.join(", ")}] and [${b.join(", ")}] do not go together`);
    return one === 1 ? other : one;
  });
}
