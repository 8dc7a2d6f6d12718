/** Latents or any planes of numbers, [channels, height, width]. */
interface Planes {
  readonly latents: Float32Array;
  readonly height: number;
  readonly width: number;
}

/**
 * Bilinear resize of latents, as torch's `interpolate(mode="bilinear", align_corners=False)` without antialiasing:
 * A1111's "Latent" upscaler.
 * @returns [channels, size.height, size.width]
 */
export function resizeBilinear(
  { latents, height, width }: Planes,
  size: { readonly height: number; readonly width: number },
): Float32Array {
  const channels = latents.length / (height * width);
  const result = new Float32Array(channels * size.height * size.width);
  const rows = samples(height, size.height);
  const columns = samples(width, size.width);
  let at = 0;
  for (let c = 0; c < channels; c++) {
    for (const [top, bottom, down] of rows) {
      for (const [left, right, across] of columns) {
        const pick = (y: number, x: number): number => latents[(c * height + y) * width + x] ?? 0;
        const upper = pick(top, left) * (1 - across) + pick(top, right) * across;
        const lower = pick(bottom, left) * (1 - across) + pick(bottom, right) * across;
        result[at++] = upper * (1 - down) + lower * down;
      }
    }
  }
  return result;
}

/** For each new position the two old ones beside it, and how far it lies towards the second. */
function samples(oldLength: number, newLength: number): (readonly [number, number, number])[] {
  return Array.from({ length: newLength }, (_, i) => {
    const position = Math.max(0, ((i + 0.5) * oldLength) / newLength - 0.5);
    const first = Math.min(Math.floor(position), oldLength - 1);
    return [first, Math.min(first + 1, oldLength - 1), position - first] as const;
  });
}
