import type { TensorView, Weights } from "../tensor-view.ts";
import { rowsPart, transposedView } from "../views.ts";
import type { Renamed } from "./renaming.ts";

/** Tensors that belong to training or to constants of the code. */
const IGNORED = /(^|\.)(position_ids|logit_scale)$/;

/**
 * A CLIP text encoder with transformers' names under ours, which are the same without the leading `text_model.`
 * (older versions write it, newer ones do not).
 */
export function renameClip(tensors: Weights): Renamed {
  const weights = new Map<string, TensorView>();
  const unknown: string[] = [];
  for (const [name, view] of tensors) {
    const ours = name.replace(/^text_model\./, "");
    if (IGNORED.test(name)) continue;
    if (/^(embeddings|encoder\.layers|final_layer_norm|text_projection)\./.test(ours)) weights.set(ours, view);
    else unknown.push(name);
  }
  return { weights, unknown };
}

const OPENCLIP_TOP: ReadonlyMap<string, string> = new Map([
  ["positional_embedding", "embeddings.position_embedding.weight"],
  ["token_embedding.weight", "embeddings.token_embedding.weight"],
  ["ln_final.weight", "final_layer_norm.weight"],
  ["ln_final.bias", "final_layer_norm.bias"],
]);

const OPENCLIP_LAYER: ReadonlyMap<string, string> = new Map([
  ["attn.out_proj", "self_attn.out_proj"],
  ["ln_1", "layer_norm1"],
  ["ln_2", "layer_norm2"],
  ["mlp.c_fc", "mlp.fc1"],
  ["mlp.c_proj", "mlp.fc2"],
]);

/**
 * A text encoder with OpenCLIP's names under ours. Query, key and value are the thirds of one merged tensor;
 * `text_projection` is multiplied from the right there, so it is the transpose of a linear layer's weight
 * (`text_projection.weight`, which some programs write, is not).
 */
export function renameOpenClip(tensors: Weights): Renamed {
  const weights = new Map<string, TensorView>();
  const unknown: string[] = [];
  for (const [name, view] of tensors) {
    if (IGNORED.test(name)) continue;
    const top = OPENCLIP_TOP.get(name);
    if (top !== undefined) weights.set(top, view);
    else if (name === "text_projection" && view.shape.length === 2) weights.set("text_projection.weight", transposedView(view));
    else if (name === "text_projection.weight") weights.set(name, view);
    else if (!addLayerTensor(weights, name, view)) unknown.push(name);
  }
  return { weights, unknown };
}

function addLayerTensor(weights: Map<string, TensorView>, name: string, view: TensorView): boolean {
  const [, index, rest] = /^transformer\.resblocks\.(\d{1,3})\.(.+)$/.exec(name) ?? [];
  if (index === undefined || rest === undefined) return false;
  const layer = `encoder.layers.${index}`;
  const merged = /^attn\.in_proj[_.](weight|bias)$/.exec(rest);
  if (merged !== null) {
    if ((view.shape[0] ?? 0) % 3 !== 0) return false;
    ["q", "k", "v"].forEach((part, i) => {
      weights.set(`${layer}.self_attn.${part}_proj.${merged[1]}`, rowsPart(view, i, 3));
    });
    return true;
  }
  const [, module, suffix] = /^(.+)\.(weight|bias)$/.exec(rest) ?? [];
  const ours = OPENCLIP_LAYER.get(module ?? "");
  if (ours === undefined) return false;
  weights.set(`${layer}.${ours}.${suffix}`, view);
  return true;
}
