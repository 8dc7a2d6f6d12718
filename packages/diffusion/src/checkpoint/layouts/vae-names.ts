import type { TensorView, Weights } from "../tensor-view.ts";
import { squeezedKernel } from "../views.ts";
import { indexesAfter, type Renamed } from "./renaming.ts";

/** The attention's parts: original names, and those that early diffusers wrote, to ours. */
const ATTENTION: ReadonlyMap<string, string> = new Map([
  ["norm", "group_norm"],
  ["q", "to_q"],
  ["k", "to_k"],
  ["v", "to_v"],
  ["proj_out", "to_out.0"],
  ["query", "to_q"],
  ["key", "to_k"],
  ["value", "to_v"],
  ["proj_attn", "to_out.0"],
]);

/**
 * A VAE with original names (`decoder.up.3.block.0.norm1`) or diffusers' under ours (diffusers' present ones).
 * The attention's 1x1 convolutions become the matrices that they are.
 */
export function renameVae(tensors: Weights): Renamed {
  const levels = 1 + Math.max(-1, ...indexesAfter(tensors.keys(), "decoder.up."));
  const weights = new Map<string, TensorView>();
  const unknown: string[] = [];
  for (const [name, view] of tensors) {
    const ours = renameVaeTensor(name, levels);
    if (ours === undefined) unknown.push(name);
    else weights.set(ours, ours.includes(".attentions.") ? squeezedKernel(view) : view);
  }
  return { weights, unknown };
}

function renameVaeTensor(name: string, levels: number): string | undefined {
  if (/^(post_)?quant_conv\.(weight|bias)$/.test(name)) return name;
  const [, half, rest] = /^(encoder|decoder)\.(.+)$/.exec(name) ?? [];
  if (half === undefined || rest === undefined) return undefined;
  const inner = renameInHalf(rest, levels);
  return inner === undefined ? undefined : `${half}.${inner}`;
}

function renameInHalf(name: string, levels: number): string | undefined {
  if (/^(conv_in|conv_out|conv_norm_out)\./.test(name)) return name;
  if (name.startsWith("norm_out.")) return `conv_${name}`;
  if (/^(down_blocks|up_blocks|mid_block\.resnets)\./.test(name)) return name;
  const attention = /^mid(?:_block\.attentions\.0|\.attn_1)\.(\w+)(\.0)?\.(weight|bias)$/.exec(name);
  if (attention !== null) {
    const [, part = "", zero = "", suffix] = attention;
    const ours = ATTENTION.get(part) ?? (name.startsWith("mid_block.") ? part + zero : undefined);
    return ours === undefined ? undefined : `mid_block.attentions.0.${ours}.${suffix}`;
  }
  const middle = /^mid\.block_([12])\.(.+)$/.exec(name);
  if (middle !== null) return `mid_block.resnets.${Number(middle[1]) - 1}.${shortcut(middle[2] ?? "")}`;
  const level = /^(down|up)\.(\d{1,3})\.(block\.(\d{1,3})|downsample|upsample)\.(.+)$/.exec(name);
  if (level === null) return undefined;
  const [, direction, index, kind, resnet, rest = ""] = level;
  const block = direction === "down" ? `down_blocks.${index}` : `up_blocks.${levels - 1 - Number(index)}`;
  return resnet === undefined ? `${block}.${kind}rs.0.${rest}` : `${block}.resnets.${resnet}.${shortcut(rest)}`;
}

function shortcut(name: string): string {
  return name.replace(/^nin_shortcut\./, "conv_shortcut.");
}
