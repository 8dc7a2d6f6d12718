import type { TensorView, Weights } from "../checkpoint/tensor-view.ts";

/** Parts whose keys end in their own names, LyCORIS'. */
const OWN_NAMES = [
  "alpha",
  "dora_scale",
  "hada_w1_a",
  "hada_w1_b",
  "hada_w2_a",
  "hada_w2_b",
  "hada_t1",
  "hada_t2",
  "lokr_w1",
  "lokr_w1_a",
  "lokr_w1_b",
  "lokr_w2",
  "lokr_w2_a",
  "lokr_w2_b",
  "lokr_t2",
  "diff",
] as const;

/** The parts that a file may hold for one layer, by LyCORIS' and kohya's names (PEFT's A is `down`, B is `up`). */
export type PartName = "down" | "up" | "mid" | (typeof OWN_NAMES)[number];

export type Parts = ReadonlyMap<PartName, TensorView>;

/** What a file holds, layer by layer, under the file's own names of the layers. */
export interface AdapterModules {
  readonly modules: ReadonlyMap<string, Parts>;
  /** Keys of no dialect that Kiln reads. */
  readonly strangers: readonly string[];
}

/** Endings of keys and the part that each names. Processor-style keys (`to_q_lora.down.weight`) keep the layer's name before `_lora`. */
const ENDINGS: readonly { pattern: RegExp; part: (match: string) => PartName }[] = [
  { pattern: /\.lora_(down|up|mid)(?:\.weight)?$/, part: downUpMid },
  { pattern: /\.lora_(A|B)(?:\.[\w-]+)?\.weight$/, part: (match) => (match === "A" ? "down" : "up") },
  { pattern: /\.lora\.(down|up)\.weight$/, part: downUpMid },
  { pattern: /\.lora_linear_layer\.(down|up)\.weight$/, part: downUpMid },
  { pattern: /_lora\.(down|up)\.weight$/, part: downUpMid },
  { pattern: /\.(hada_(?:w[12]_[ab]|t[12])|lokr_(?:w[12](?:_[ab])?|t2)|alpha|dora_scale|diff)$/, part: ownName },
  { pattern: /\.(lora_magnitude_vector)(?:\.[\w-]+)?(?:\.weight)?$/, part: () => "dora_scale" },
];

function downUpMid(match: string): PartName {
  return match === "mid" ? "mid" : match === "up" ? "up" : "down";
}

function ownName(match: string): PartName {
  return OWN_NAMES.find((name) => name === match) ?? "diff";
}

/** Sorts the tensors of an adapter file by the layer that they belong to. */
export function sortAdapterKeys(tensors: Weights): AdapterModules {
  const modules = new Map<string, Map<PartName, TensorView>>();
  const strangers: string[] = [];
  for (const [key, view] of tensors) {
    const found = splitKey(key);
    if (found === undefined) {
      strangers.push(key);
      continue;
    }
    const parts = modules.get(found.module);
    if (parts === undefined) modules.set(found.module, new Map([[found.part, view]]));
    else parts.set(found.part, view);
  }
  return { modules, strangers };
}

function splitKey(key: string): { module: string; part: PartName } | undefined {
  for (const { pattern, part } of ENDINGS) {
    const match = pattern.exec(key);
    if (match === null) continue;
    const module = key
      .slice(0, match.index)
      .replace(/^base_model\.model\./, "")
      .replace(/\.processor\./, ".");
    return { module, part: part(match[1] ?? "") };
  }
  return undefined;
}
