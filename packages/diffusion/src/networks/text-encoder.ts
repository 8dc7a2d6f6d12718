import type { ClipTextConfig } from "../checkpoint/model-configs.ts";
import type { Weights } from "../checkpoint/tensor-view.ts";
import { KilnError } from "../errors.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Graph } from "../graph/graph.ts";
import { floatTensor } from "../graph/tensor.ts";
import { clipText, hiddenStateName } from "../models/clip-text.ts";
import { Scope } from "../models/scope.ts";
import { EmbeddingTable } from "../text/embedding-table.ts";
import type { PromptWindow } from "../text/prompt-chunks.ts";
import { AdapterStack, adapterKey, type WeightedAdapter } from "./adapter-stack.ts";
import type { NetworkCache } from "./network-cache.ts";
import { splitRows } from "./row.ts";

const TABLE = "embeddings.token_embedding.weight";
const PROJECTION = "text_projection.weight";

/** One window of a prompt, encoded. */
export interface EncodedWindow {
  /** States [77, width] at the layer that was asked for. */
  readonly states: Float32Array;
  /** The pooled output, projected where the network has a projection. */
  readonly pooled: Float32Array;
}

export interface EncodeOptions {
  /** How many of the network's blocks the states have passed, 0 .. layers. */
  readonly layer: number;
  /** Whether the final norm stands behind them. */
  readonly normed: boolean;
  readonly adapters: readonly WeightedAdapter[];
  /** Where the pooled output is taken in a window that holds textual inversions. */
  readonly poolAt: "end of text" | "inversion";
}

/** One CLIP text encoder of a checkpoint. */
export class TextEncoder {
  readonly config: ClipTextConfig;
  readonly table: EmbeddingTable;
  readonly #name: "text_encoder" | "text_encoder_2";
  readonly #weights: Weights;
  readonly #cache: NetworkCache;
  readonly #key: string;

  /** @param name the part of an adapter that is for this network. */
  constructor(
    key: string,
    name: "text_encoder" | "text_encoder_2",
    config: ClipTextConfig,
    weights: Weights,
    cache: NetworkCache,
  ) {
    const table = weights.get(TABLE);
    if (!table) throw new KilnError("checkpoint_incomplete", `The text encoder has no ${TABLE}: the file is incomplete.`);
    if (name === "text_encoder_2" && !weights.has(PROJECTION)) {
      throw new KilnError("checkpoint_incomplete", `The second text encoder has no ${PROJECTION}: the file is incomplete.`);
    }
    this.#key = key;
    this.#name = name;
    this.config = config;
    this.table = new EmbeddingTable(table);
    this.#weights = weights;
    this.#cache = cache;
  }

  /**
   * Encodes the windows of one prompt, all in one call.
   * @throws KilnError checkpoint_incomplete, adapter_mismatch, numeric as `EmbeddingTable.lookUp` does
   */
  async encode(windows: readonly PromptWindow[], options: EncodeOptions): Promise<EncodedWindow[]> {
    const embeddings = await Promise.all(windows.map((window) => this.table.lookUp(window.ids, window.vectors)));
    const positions = windows[0]?.ids.length ?? 0;
    const shape = [windows.length, positions, this.config.hiddenSize];
    const tokens = new Float32Array(windows.length * positions * this.config.hiddenSize);
    for (const [i, rows] of embeddings.entries()) tokens.set(rows, i * rows.length);
    const ends = windows.map((window) => BigInt(this.#endOf(window, options.poolAt)));
    const adapters = new Set(options.adapters.map(({ adapter }) => adapter));
    const stack = new AdapterStack(this.#name, [...adapters]);
    return this.#cache.use(
      adapterKey(this.#key, stack.layers),
      () => this.#build(stack.layers),
      async (network) => {
        const outputs = await network.run({
          token_embeddings: floatTensor(tokens, shape),
          end_token: { type: "int64", shape: [windows.length], data: new BigInt64Array(ends) },
          ...(await stack.inputs(
            network.inputs,
            windows.map(() => options.adapters),
          )),
        });
        const states = outputs[hiddenStateName(options.layer, options.normed)];
        const { pooled } = outputs;
        if (!states || !pooled) throw new Error(`the text encoder has no output at layer ${options.layer}`);
        const pools = splitRows(pooled.data, windows.length);
        return splitRows(states.data, windows.length).map((row, i) => ({ states: row, pooled: pools[i] ?? new Float32Array(0) }));
      },
    );
  }

  /**
   * The position that the pooled output is taken from: the first end-of-text token. Published configs that say `eos_token_id: 2` mean
   * "the largest id"; where a textual inversion stands in the prompt, transformers then takes its last vector, whose id was added after
   * all others, and AUTOMATIC1111 does not.
   */
  #endOf(window: PromptWindow, poolAt: EncodeOptions["poolAt"]): number {
    const { eosTokenId } = this.config;
    const largestIdWins = eosTokenId === LEGACY_EOS_TOKEN_ID;
    if (largestIdWins && poolAt === "inversion" && window.vectors.size > 0) return lastOfFirstRun([...window.vectors.keys()]);
    const wanted = largestIdWins ? Math.max(...window.ids) : eosTokenId;
    return Math.max(0, window.ids.indexOf(wanted));
  }

  #build(adapted: ReadonlySet<string>): Graph {
    const graph = new GraphBuilder("text encoder");
    const scope = Scope.root("text encoder", graph, this.#weights, adapted);
    clipText(scope, this.config);
    scope.finish();
    return graph.build();
  }
}

/** transformers keeps an old mistake of published configs alive under this number. */
const LEGACY_EOS_TOKEN_ID = 2;

function lastOfFirstRun(positions: readonly number[]): number {
  const sorted = [...positions].sort((a, b) => a - b);
  const gap = sorted.findIndex((position, i) => sorted[i + 1] !== position + 1);
  return sorted[gap] ?? 0;
}
