import { replacePrefix } from "../checkpoint/layouts/renaming.ts";
import { planFromOurs, unetModuleTable } from "../checkpoint/layouts/unet-names.ts";
import type { Weights } from "../checkpoint/tensor-view.ts";

/** The networks that adapters change, by the prefix of a target ("unet:mid_block.attentions.0.proj_in"). */
export type AdapterNetwork = "unet" | "text_encoder" | "text_encoder_2";

/** The tensors of the networks that an adapter is to fit. */
export interface AdaptedNetworks {
  readonly unet?: Weights;
  readonly textEncoder?: Weights;
  readonly textEncoder2?: Weights;
}

/** A layer of a network: its weight's name is `layer` and `.weight`. */
export interface Target {
  readonly network: AdapterNetwork;
  readonly layer: string;
  /** Of the layer's weight: (out, in) or (out, in, height, width). */
  readonly shape: readonly number[];
}

/** Where a layer's name in a file begins, and the network that it means. The longer ones come first. */
const PREFIXES: readonly (readonly [prefix: string, network: AdapterNetwork])[] = [
  ["lora_te1_", "text_encoder"],
  ["lora_te2_", "text_encoder_2"],
  ["lora_te_", "text_encoder"],
  ["text_encoder_2_", "text_encoder_2"],
  ["text_encoder_", "text_encoder"],
  ["lora_unet_", "unet"],
  ["lycoris_unet_", "unet"],
  ["lycoris_", "unet"],
  ["unet_", "unet"],
  ["model_diffusion_model_", "unet"],
  ["diffusion_model_", "unet"],
];

/** kohya writes dots as underscores, so that is the form in which all names are compared. */
function underscored(name: string): string {
  return name.replaceAll(".", "_");
}

/** The network that a layer's name in a file means, and the rest of the name, with underscores. */
export function splitNetwork(module: string): { network: AdapterNetwork; rest: string } {
  const name = underscored(module);
  for (const [prefix, network] of PREFIXES) {
    if (name.startsWith(prefix)) return { network, rest: name.slice(prefix.length) };
  }
  return { network: name.startsWith("text_model_") ? "text_encoder" : "unet", rest: name };
}

/**
 * Finds the layer that a name in a file means. Underscores make names ambiguous in themselves, so they are looked up among the
 * layers that the networks have, under every name that trainers give to each.
 */
export class TargetFinder {
  readonly #tables: ReadonlyMap<AdapterNetwork, ReadonlyMap<string, Target>>;

  constructor(networks: AdaptedNetworks) {
    this.#tables = new Map([
      ["unet", buildTable("unet", networks.unet, unetNames(networks.unet))],
      ["text_encoder", buildTable("text_encoder", networks.textEncoder, textNames)],
      ["text_encoder_2", buildTable("text_encoder_2", networks.textEncoder2, textNames)],
    ]);
  }

  find(module: string): Target | undefined {
    const { network, rest } = splitNetwork(module);
    return this.#tables.get(network)?.get(rest);
  }
}

function buildTable(
  network: AdapterNetwork,
  weights: Weights | undefined,
  namesOf: (layer: string) => readonly string[],
): Map<string, Target> {
  const table = new Map<string, Target>();
  for (const [name, { shape }] of weights ?? []) {
    if (!name.endsWith(".weight") || shape.length < 2) continue;
    const layer = name.slice(0, -".weight".length);
    for (const alias of namesOf(layer)) table.set(underscored(alias), { network, layer, shape });
  }
  return table;
}

/** A UNet layer's names: diffusers', the original layout's, and `to_out` where `to_out.0` is meant (processor style). */
function unetNames(weights: Weights | undefined): (layer: string) => readonly string[] {
  const originals = new Map(
    [...unetModuleTable(planFromOurs(weights?.keys() ?? []))].map(([original, ours]) => [ours, original]),
  );
  return (layer) => {
    const names = [layer];
    const original = replacePrefix(layer, originals);
    if (original !== undefined) names.push(original);
    return names.flatMap((name) => (name.endsWith(".to_out.0") ? [name, name.slice(0, -2)] : [name]));
  };
}

/** A text encoder layer's names: with and without `text_model`, and with the attention's parts in the UNet's words (early diffusers). */
function textNames(layer: string): readonly string[] {
  const early = layer.replace(/self_attn\.([qkv])_proj$/, "self_attn.to_$1").replace(/self_attn\.out_proj$/, "self_attn.to_out");
  return [layer, early].flatMap((name) => [name, `text_model.${name}`]);
}
