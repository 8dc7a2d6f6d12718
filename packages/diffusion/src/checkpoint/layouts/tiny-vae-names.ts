import type { TensorView, Weights } from "../tensor-view.ts";
import type { Renamed } from "./renaming.ts";

/**
 * A tiny autoencoder (TAESD) under diffusers' names (`encoder.layers.0.weight`). Its author publishes encoder and decoder as
 * two files with bare numbers (`1.weight`), which other programs join under `taesd_encoder.` and `taesd_decoder.`;
 * there, the decoder counts its clamp as layer 0, which diffusers does not.
 */
export function renameTinyVae(tensors: Weights): Renamed {
  const bare = [...tensors.keys()].some((name) => /^\d+\./.test(name));
  // The bare encoder begins with a convolution; the bare decoder begins with the clamp, which has no weights.
  const bareHalf = tensors.has("0.weight") ? "encoder" : "decoder";
  const weights = new Map<string, TensorView>();
  const unknown: string[] = [];
  for (const [name, view] of tensors) {
    const full = bare && /^\d+\./.test(name) ? `taesd_${bareHalf}.${name}` : name;
    const [, original, half, index, rest] = /^(taesd_)?(encoder|decoder)\.(?:layers\.)?(\d{1,3})\.(.+)$/.exec(full) ?? [];
    if (half === undefined || index === undefined || rest === undefined) unknown.push(name);
    else weights.set(`${half}.layers.${Number(index) - (original !== undefined && half === "decoder" ? 1 : 0)}.${rest}`, view);
  }
  return { weights, unknown };
}
