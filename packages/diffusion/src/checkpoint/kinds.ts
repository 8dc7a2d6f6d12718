import { isBareUNet, isBareVae } from "./single-file.ts";
import type { Weights } from "./tensor-view.ts";

export type FileKind =
  | "checkpoint"
  | "unet"
  | "vae"
  | "tiny vae"
  | "text encoder"
  | "controlnet"
  | "lora"
  | "textual inversion"
  | "upscaler"
  | "ip-adapter"
  | "unknown";

/** Keys that low-rank adapters have, in all their dialects. */
const ADAPTER_KEY = /\.(lora_(down|up|mid|A|B)\b|lora\.(down|up)\.|hada_[wt]|lokr_[wt]|dora_scale)|_lora\.(down|up)\.weight$/;

const RULES: readonly { kind: FileKind; words: string; test: (tensors: Weights, names: readonly string[]) => boolean }[] = [
  { kind: "lora", words: "a LoRA", test: (_, names) => names.some((name) => ADAPTER_KEY.test(name)) },
  {
    kind: "controlnet",
    words: "a ControlNet",
    test: (tensors, names) =>
      tensors.has("controlnet_cond_embedding.conv_in.weight") ||
      tensors.has("lora_controlnet") ||
      names.some((name) => name.startsWith("control_model.") || name.startsWith("zero_convs.")),
  },
  {
    kind: "ip-adapter",
    words: "an IP-Adapter",
    test: (_, names) => names.some((name) => /^(image_proj|ip_adapter)\./.test(name)),
  },
  { kind: "checkpoint", words: "a checkpoint", test: isWholeCheckpoint },
  {
    kind: "unet",
    words: "a UNet",
    test: (tensors, names) => isBareUNet(tensors) || names.some((name) => /^(model\.)?diffusion_model\./.test(name)),
  },
  {
    kind: "tiny vae",
    words: "a tiny autoencoder (TAESD)",
    test: (_, names) => names.some((name) => /^(taesd_)?(encoder|decoder)\.(layers\.)?\d+\.conv\.0\./.test(name)),
  },
  {
    kind: "vae",
    words: "a VAE",
    test: (tensors, names) => isBareVae(tensors) || names.some((name) => /^(first_stage_model|vae)\./.test(name)),
  },
  {
    kind: "text encoder",
    words: "a text encoder",
    test: (_, names) =>
      names.some((name) => /(^|\.)(text_model\.)?(embeddings\.token_embedding|token_embedding)\.weight$/.test(name)),
  },
  { kind: "textual inversion", words: "a textual inversion embedding", test: isEmbedding },
  {
    kind: "upscaler",
    words: "an upscaler (ESRGAN)",
    test: (_, names) =>
      names.some((name) => /^(model\.0\.weight|model\.1\.sub\.|body\.\d+\.(rdb1\.|weight)|conv_first\.weight)/.test(name)),
  },
];

/** What a file is, by the names of its tensors. `words` goes into sentences: "it looks like a LoRA". */
export function guessKind(tensors: Weights): { kind: FileKind; words: string } {
  const names = [...tensors.keys()];
  const found = RULES.find(({ test }) => test(tensors, names));
  return found === undefined ? { kind: "unknown", words: "nothing that Kiln knows" } : { kind: found.kind, words: found.words };
}

function isWholeCheckpoint(_: Weights, names: readonly string[]): boolean {
  const unet = names.some((name) => /^(model\.)?diffusion_model\./.test(name));
  return unet && names.some((name) => /^(first_stage_model|vae|conditioner|cond_stage_model)\./.test(name));
}

function isEmbedding(tensors: Weights, names: readonly string[]): boolean {
  if (names.length > 4) return false;
  return (
    names.some((name) => ["clip_l", "clip_g", "emb_params"].includes(name)) ||
    (names.length === 1 && /^<.+>$/.test(names[0] ?? "") && tensors.size === 1)
  );
}
