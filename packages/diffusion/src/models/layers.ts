import type { Value } from "../graph/graph.ts";
import type { Scope } from "./scope.ts";

/**
 * The layers that networks are made of. Each takes the place in the network where its weights lie,
 * so that a model file reads like the paper: `linear(s.at("to_q"), x)`.
 */

/** Whether a layer has a bias; `optional`: where the file has one. */
export type Bias = "required" | "optional";

/** x [..., in] -> [..., out], with a low-rank branch where an adapter wants one. */
export function linear(s: Scope, x: Value, { bias: wanted = "required" }: { bias?: Bias } = {}): Value {
  const out = s.shape("weight")?.[0] ?? Number.NaN;
  const bias = biasOf(s, out, wanted);
  const y = s.graph.linear(x, s.weight("weight", [null, x.channels]), bias, out);
  return s.adapted ? addLowRank(s, x, y) : y;
}

export interface ConvOptions {
  readonly stride?: number;
  /** All four sides, or top, left, bottom, right. Default: half the kernel. */
  readonly padding?: number | readonly [number, number, number, number];
  /** Default `required`. */
  readonly bias?: Bias;
}

/** x [N, in, H, W] -> [N, out, H', W']. */
export function conv2d(s: Scope, x: Value, { stride = 1, padding, bias: wanted = "required" }: ConvOptions = {}): Value {
  const [out = Number.NaN, , kernel = 1] = s.shape("weight") ?? [];
  const sides = padding ?? (kernel - 1) / 2;
  const attributes = { stride, padding: typeof sides === "number" ? ([sides, sides, sides, sides] as const) : sides };
  const bias = biasOf(s, out, wanted);
  const y = s.graph.conv2d(x, s.weight("weight", [null, x.channels, null, null]), bias, out, attributes);
  if (!s.adapted) return y;
  const rank = `${s.path} rank`;
  const down = s.graph.input(`${s.path}:down`, "float32", [rank, x.channels, kernel, kernel]);
  const gate = s.graph.input(`${s.path}:gate`, "float32", ["batch", rank, 1, 1]);
  const up = s.graph.input(`${s.path}:up`, "float32", [out, rank, 1, 1]);
  const low = s.graph.multiply(s.graph.conv2d(x, down, undefined, Number.NaN, attributes), gate);
  return s.graph.add(y, s.graph.conv2d(low, up, undefined, out, { stride: 1, padding: [0, 0, 0, 0] }));
}

function biasOf(s: Scope, out: number, wanted: Bias): Value | undefined {
  return wanted === "required" || s.has("bias") ? s.weight("bias", [out]) : undefined;
}

/** x [N, C, H, W], normalised over groups of channels (Wu and He, arXiv 1803.08494). */
export function groupNorm(s: Scope, x: Value, options: { groups: number; epsilon: number; silu?: boolean }): Value {
  const { groups, epsilon, silu = false } = options;
  return s.graph.groupNorm(x, s.weight("weight", [x.channels]), s.weight("bias", [x.channels]), { groups, epsilon, silu });
}

/** x [..., C], normalised over its last axis (Ba, Kiros and Hinton, arXiv 1607.06450). */
export function layerNorm(s: Scope, x: Value, epsilon = 1e-5): Value {
  return s.graph.layerNorm(x, s.weight("weight", [x.channels]), s.weight("bias", [x.channels]), epsilon);
}

/**
 * The branch that adapters use (LoRA: Hu et al., arXiv 2106.09685): y + up(gate * down(x)).
 * The matrices of all adapters in a batch lie side by side along the rank, and `gate` [N, rank] holds for
 * each picture the weight of each adapter, zero where the picture does not use it: so pictures
 * with different adapters share one call.
 */
function addLowRank(s: Scope, x: Value, y: Value): Value {
  const rank = `${s.path} rank`;
  const down = s.graph.input(`${s.path}:down`, "float32", [rank, x.channels]);
  const gate = s.graph.input(`${s.path}:gate`, "float32", x.rank === 3 ? ["batch", 1, rank] : ["batch", rank]);
  const up = s.graph.input(`${s.path}:up`, "float32", [y.channels, rank]);
  const low = s.graph.multiply(s.graph.linear(x, down, undefined, Number.NaN), gate);
  return s.graph.add(y, s.graph.linear(low, up, undefined, y.channels));
}
