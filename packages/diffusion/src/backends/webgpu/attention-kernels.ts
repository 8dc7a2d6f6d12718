import { GraphBuilder } from "../../graph/builder.ts";
import type { Graph } from "../../graph/graph.ts";
import { floatTensor } from "../../graph/tensor.ts";
import type { CompiledGraph } from "../backend.ts";
import type { AttentionShape } from "../onnx/dialect.ts";

/**
 * Which attentions MultiHeadAttention computes rightly on this device. Its flash kernel, which needs no memory for the scores,
 * is wrong where subgroups are narrow (4 lanes in SwiftShader, 8 in llvmpipe), and says nothing of it; and it needs workgroup memory in
 * proportion to the head's width, which devices have more or less of. So each shape is tried on a small attention before a network relies on it.
 */
export class AttentionKernels {
  readonly #compile: (graph: Graph) => Promise<CompiledGraph>;
  readonly #tolerance: number;
  readonly #tried = new Map<string, Promise<boolean>>();

  /**
   * @param compile   compiles a graph with every attention fused.
   * @param tolerance how far an answer of numbers in -1..1 may be from the right one.
   */
  constructor(compile: (graph: Graph) => Promise<CompiledGraph>, tolerance: number) {
    this.#compile = compile;
    this.#tolerance = tolerance;
  }

  /** The choice for every attention of a graph. */
  async choose(graph: Graph): Promise<(shape: AttentionShape) => "fused" | "products"> {
    const right = new Set<string>();
    for (const shape of attentionsOf(graph)) if (await this.#isRight(shape)) right.add(keyOf(shape));
    return (shape) => (right.has(keyOf(shape)) ? "fused" : "products");
  }

  #isRight(shape: AttentionShape): Promise<boolean> {
    const key = keyOf(shape);
    const trial = this.#tried.get(key) ?? this.#try(shape);
    this.#tried.set(key, trial);
    return trial;
  }

  async #try({ headWidth, causal }: AttentionShape): Promise<boolean> {
    const graph = new GraphBuilder("attention trial");
    const channels = HEADS * headWidth;
    const [query, key, value] = ["query", "key", "value"].map((name) =>
      graph.input(name, "float32", ["batch", "tokens", channels]),
    );
    if (!query || !key || !value) return false;
    graph.output("attended", graph.attention(query, key, value, { heads: HEADS, causal }));
    const shape = [1, TOKENS, channels];
    const [q, k, v] = [1, 2, 3].map((seed) => noise(TOKENS * channels, seed));
    if (!q || !k || !v) return false;
    try {
      const network = await this.#compile(graph.build());
      const { attended } = await network.run({
        query: floatTensor(q, shape),
        key: floatTensor(k, shape),
        value: floatTensor(v, shape),
      });
      await network.dispose();
      const expected = attend({ q, k, v, headWidth, causal });
      return attended?.data.every((value, i) => Math.abs(value - (expected[i] ?? Number.NaN)) <= this.#tolerance) ?? false;
    } catch {
      // A kernel that cannot be built for this shape is none.
      return false;
    }
  }
}

const HEADS = 2;
/** More than a workgroup's tile of 64, and no multiple of any subgroup's width: as CLIP's windows are. */
const TOKENS = 77;

function attentionsOf(graph: Graph): AttentionShape[] {
  const shapes = new Map<string, AttentionShape>();
  for (const node of graph.nodes) {
    if (node.op !== "attention") continue;
    const { heads, causal } = node.attributes;
    const shape = { headWidth: (node.inputs[0]?.channels ?? Number.NaN) / heads, causal };
    shapes.set(keyOf(shape), shape);
  }
  return [...shapes.values()];
}

function keyOf({ headWidth, causal }: AttentionShape): string {
  return `${headWidth}${causal ? " causal" : ""}`;
}

/** Numbers in -1..1 without a pattern that a wrong order could keep. */
function noise(count: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    // A linear congruential generator, with the constants of Numerical Recipes.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

interface Operands extends AttentionShape {
  /** [TOKENS, HEADS x headWidth] each. */
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
}

/** Attention by its definition (Vaswani et al., arXiv 1706.03762, equation 1). */
function attend({ q, k, v, headWidth, causal }: Operands): Float32Array {
  const channels = HEADS * headWidth;
  const result = new Float32Array(TOKENS * channels);
  const scores = new Float64Array(TOKENS);
  for (let head = 0; head < HEADS; head++) {
    for (let row = 0; row < TOKENS; row++) {
      const seen = causal ? row + 1 : TOKENS;
      let sum = 0;
      for (let column = 0; column < seen; column++) {
        let product = 0;
        for (let i = 0; i < headWidth; i++)
          product += (q[row * channels + head * headWidth + i] ?? 0) * (k[column * channels + head * headWidth + i] ?? 0);
        scores[column] = Math.exp(product / Math.sqrt(headWidth));
        sum += scores[column] ?? 0;
      }
      for (let column = 0; column < seen; column++) {
        const weight = (scores[column] ?? 0) / sum;
        for (let i = 0; i < headWidth; i++) {
          const at = row * channels + head * headWidth + i;
          result[at] = (result[at] ?? 0) + weight * (v[column * channels + head * headWidth + i] ?? 0);
        }
      }
    }
  }
  return result;
}
