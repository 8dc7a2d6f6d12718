import type { Region } from "./paste.ts";

/** Part of latents or of any planes of numbers, [channels, height, width]; the part lies within them. */
export function cropLatents(
  { latents, height, width }: { readonly latents: Float32Array; readonly height: number; readonly width: number },
  part: Region,
): Float32Array {
  const channels = latents.length / (height * width);
  const result = new Float32Array(channels * part.height * part.width);
  for (let channel = 0; channel < channels; channel++) {
    for (let row = 0; row < part.height; row++) {
      const from = (channel * height + part.top + row) * width + part.left;
      result.set(latents.subarray(from, from + part.width), (channel * part.height + row) * part.width);
    }
  }
  return result;
}
