import { PIXELS_PER_LATENT } from "../latent-size.ts";

/** Decoding in overlapping tiles: memory for one tile instead of the whole, blended so that no seam shows. */

export interface TilingOptions {
  /** Side of a tile in latents. */
  readonly tile: number;
  /** Latents that neighbours share, over which one fades into the other. */
  readonly overlap: number;
}

/** 768 pixels a side with 192 shared: large enough that each tile's own normalisation statistics do not show. */
export const DEFAULT_TILING: TilingOptions = { tile: 96, overlap: 24 };

const CHANNELS = 3;

interface Latents {
  /** [channels, height, width]. */
  readonly data: Float32Array;
  readonly height: number;
  readonly width: number;
}

/** @returns the picture [3, 8 height, 8 width]. */
export async function decodeTiled(
  whole: Latents,
  channels: number,
  { tile, overlap }: TilingOptions,
  decode: (data: Float32Array, height: number, width: number) => Promise<Float32Array>,
): Promise<Float32Array> {
  const [height, width] = [whole.height * PIXELS_PER_LATENT, whole.width * PIXELS_PER_LATENT];
  const sum = new Float32Array(CHANNELS * height * width);
  const weights = new Float32Array(height * width);
  for (const top of starts(whole.height, tile, overlap)) {
    for (const left of starts(whole.width, tile, overlap)) {
      const [h, w] = [Math.min(tile, whole.height), Math.min(tile, whole.width)];
      const picture = await decode(cut(whole, channels, top, left, h, w), h, w);
      const place = {
        top: top * PIXELS_PER_LATENT,
        left: left * PIXELS_PER_LATENT,
        height: h * PIXELS_PER_LATENT,
        width: w * PIXELS_PER_LATENT,
      };
      blend(picture, place, { sum, weights, height, width, fade: overlap * PIXELS_PER_LATENT });
    }
  }
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) / (weights[i % weights.length] ?? 1);
  return sum;
}

/** Where tiles begin along an axis: evenly spread, at least `overlap` shared, the last one flush with the end. */
function starts(length: number, tile: number, overlap: number): number[] {
  if (length <= tile) return [0];
  const count = Math.ceil((length - overlap) / (tile - overlap));
  return Array.from({ length: count }, (_, i) => Math.round((i * (length - tile)) / (count - 1)));
}

function cut({ data, height, width }: Latents, channels: number, top: number, left: number, h: number, w: number): Float32Array {
  const part = new Float32Array(channels * h * w);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < h; y++) {
      const from = (c * height + top + y) * width + left;
      part.set(data.subarray(from, from + w), (c * h + y) * w);
    }
  }
  return part;
}

interface Canvas {
  readonly sum: Float32Array;
  readonly weights: Float32Array;
  readonly height: number;
  readonly width: number;
  readonly fade: number;
}

function blend(picture: Float32Array, place: { top: number; left: number; height: number; width: number }, canvas: Canvas): void {
  const rows = ramp(place.top, place.height, canvas.height, canvas.fade);
  const columns = ramp(place.left, place.width, canvas.width, canvas.fade);
  for (let y = 0; y < place.height; y++) {
    for (let x = 0; x < place.width; x++) {
      const weight = (rows[y] ?? 0) * (columns[x] ?? 0);
      const at = (place.top + y) * canvas.width + place.left + x;
      canvas.weights[at] = (canvas.weights[at] ?? 0) + weight;
      for (let c = 0; c < CHANNELS; c++) {
        const to = c * canvas.height * canvas.width + at;
        canvas.sum[to] = (canvas.sum[to] ?? 0) + weight * (picture[(c * place.height + y) * place.width + x] ?? 0);
      }
    }
  }
}

/** Weights along one axis: rising over `fade` from a side that has a neighbour, full at the picture's own edge. */
function ramp(start: number, length: number, total: number, fade: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => {
    const fromStart = start === 0 ? 1 : Math.min(1, (i + 0.5) / fade);
    const fromEnd = start + length === total ? 1 : Math.min(1, (length - i - 0.5) / fade);
    return Math.min(fromStart, fromEnd);
  });
}
