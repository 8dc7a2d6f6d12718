import { isJsonObject, type JsonObject, parseJson } from "../checkpoint/json.ts";
import { openSafetensors } from "../checkpoint/safetensors.ts";
import { elementCount } from "../checkpoint/views.ts";
import { KilnError } from "../errors.ts";
import { type AdapterModules, sortAdapterKeys } from "./adapter-keys.ts";
import { type AdapterLayer, adapterLayer, type MetadataAlpha } from "./adapter-layer.ts";
import { type AdaptedNetworks, type AdapterNetwork, splitNetwork, TargetFinder } from "./adapter-targets.ts";
import { type AdapterFamily, FAMILY_WORDS, guessAdapterFamily } from "./guess-family.ts";

/** An adapter file (LoRA, LoCon, LoHa, LoKr) whose header has been read; it is tied to a model by `fitAdapter`. */
export interface AdapterFile {
  /** As it was named by the caller. */
  readonly path: string;
  readonly bytes: number;
  readonly family: AdapterFamily | undefined;
  readonly networks: readonly AdapterNetwork[];
  readonly contents: AdapterModules;
  readonly metadata: ReadonlyMap<string, string>;
}

export type { AdapterLayer } from "./adapter-layer.ts";
export type { AdaptedNetworks, AdapterNetwork } from "./adapter-targets.ts";
export type { LayerFactors } from "./factors.ts";

/** An adapter tied to the layers of one model. */
export interface Adapter {
  readonly path: string;
  readonly family: AdapterFamily | undefined;
  readonly networks: readonly AdapterNetwork[];
  /** By target: network, colon, layer ("unet:mid_block.attentions.0.proj_in", "text_encoder:encoder.layers.0.mlp.fc1"). */
  readonly layers: ReadonlyMap<string, AdapterLayer>;
  /** Names in the file that mean no layer of this model. */
  readonly unknown: readonly string[];
  /** Bytes that its pairs of matrices take in memory, in float32. */
  readonly memoryBytes: number;
}

/**
 * Opens an adapter file in any of the dialects: kohya (`lora_unet_...`), PEFT and diffusers (`lora_A`), old diffusers
 * (`lora.down`, processor style), LyCORIS (LoCon, LoHa, LoKr, full). Only the header is read.
 * @throws KilnError file_*; file_unsupported for DoRA; adapter_mismatch for a file that is no adapter
 */
export async function openAdapter(path: string): Promise<AdapterFile> {
  const { tensors, metadata, size } = await openSafetensors(path);
  const contents = sortAdapterKeys(tensors);
  const withParts = [...contents.modules].filter(([, parts]) => [...parts.keys()].some((name) => name !== "alpha"));
  if (withParts.length === 0) {
    throw new KilnError(
      "adapter_mismatch",
      `${path} holds no LoRA, LoHa or LoKr that Kiln knows: run kiln inspect on it to see what it is.`,
      { subject: path },
    );
  }
  const dora = withParts.find(([, parts]) => parts.has("dora_scale"));
  if (dora !== undefined) {
    const message = `${path} is a DoRA (it scales ${dora[0]}), whose change depends on the weight that it is added to: Kiln does not implement it, use a LoRA without it.`;
    throw new KilnError("file_unsupported", message, { subject: path });
  }
  const networks = [...new Set(withParts.map(([module]) => splitNetwork(module).network))];
  return { path, bytes: size, family: guessAdapterFamily(contents, metadata), networks, contents, metadata };
}

/**
 * Ties an adapter's parts to the layers of a model and checks their shapes; no numbers are read yet.
 * @param networks the tensors of the networks, under our names
 * @throws KilnError adapter_mismatch where nothing fits, or where a layer's shape does not
 */
export function fitAdapter(file: AdapterFile, networks: AdaptedNetworks): Adapter {
  const finder = new TargetFinder(networks);
  const alphaOf = alphasOfMetadata(file.metadata);
  const layers = new Map<string, AdapterLayer>();
  const unknown: string[] = [...file.contents.strangers];
  for (const [module, parts] of file.contents.modules) {
    const target = finder.find(module);
    if (target === undefined) {
      unknown.push(module);
      continue;
    }
    try {
      const layer = adapterLayer(target, parts, module, file.path, alphaOf(module));
      layers.set(`${target.network}:${target.layer}`, layer);
    } catch (error) {
      throw error instanceof KilnError && error.code === "adapter_mismatch" ? withFamily(error, file) : error;
    }
  }
  if (layers.size === 0) {
    const message = `${file.path} fits no layer of this model (its first is ${unknown[0] ?? "none"}): use an adapter that was made for this model's family.`;
    throw withFamily(new KilnError("adapter_mismatch", message, { subject: file.path }), file);
  }
  const memoryBytes = [...layers.values()].reduce((sum, layer) => sum + pairBytes(layer), 0);
  return { path: file.path, family: file.family, networks: file.networks, layers, unknown, memoryBytes };
}

function pairBytes({ rank, shape }: AdapterLayer): number {
  const [outputs = 0, ...inputs] = shape;
  const numbers = rank * (outputs + elementCount(inputs));
  return numbers * Float32Array.BYTES_PER_ELEMENT;
}

function withFamily(error: KilnError, file: AdapterFile): KilnError {
  if (file.family === undefined) return error;
  return new KilnError("adapter_mismatch", `${error.message} It seems to be for ${FAMILY_WORDS[file.family]}.`, {
    subject: file.path,
    cause: error,
  });
}

/**
 * Alphas that PEFT keeps in the metadata in place of tensors (`lora_adapter_metadata`, written by diffusers):
 * `NETWORK.lora_alpha` for all layers and `NETWORK.alpha_pattern` for some.
 */
function alphasOfMetadata(metadata: ReadonlyMap<string, string>): (module: string) => MetadataAlpha | undefined {
  const config = parseConfig(metadata.get("lora_adapter_metadata"));
  if (config === undefined) return () => undefined;
  return (module) => {
    const network = /^(unet|text_encoder_2|text_encoder)\./.exec(module)?.[1];
    const patterns = config[`${network}.alpha_pattern`];
    const special = isJsonObject(patterns)
      ? Object.entries(patterns).find(([layer, alpha]) => typeof alpha === "number" && module.endsWith(`.${layer}`))?.[1]
      : undefined;
    const alpha = special ?? config[`${network}.lora_alpha`];
    if (typeof alpha !== "number" || !Number.isFinite(alpha)) return undefined;
    return { alpha, rankStabilised: config[`${network}.use_rslora`] === true };
  };
}

function parseConfig(text: string | undefined): JsonObject | undefined {
  if (text === undefined) return undefined;
  try {
    const value = parseJson(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined; // Metadata is a stranger's note: where it is not readable, the file counts as having none.
  }
}
