import type { TensorView } from "../checkpoint/tensor-view.ts";

/**
 * A network as data: nodes of a small vocabulary, in an order in which they can be computed.
 * Model files build it (`GraphBuilder`), backends lower it. Images are (N, C, H, W), tokens are (N, T, C);
 * N, H, W and T may stay open (named) until a run.
 */
export interface Graph {
  readonly name: string;
  readonly nodes: readonly Node[];
  readonly inputs: readonly GraphInput[];
  /** Output name to value. */
  readonly outputs: ReadonlyMap<string, Value>;
  /** Whether values leave float16's range: such a network is computed in float32 where others are computed in float16. */
  readonly needsFloat32Range: boolean;
}

/** The result of a node. Batch and picture sizes may be open; rank and channels are always known, and checked as a graph is built. */
export interface Value {
  readonly id: number;
  readonly rank: number;
  /** The size of axis 1 of an image, of the last axis of tokens and vectors. */
  readonly channels: number;
}

export interface GraphInput {
  readonly name: string;
  readonly type: "float32" | "int64";
  /** A number is fixed; a name stands for a size that may change from run to run. */
  readonly shape: readonly (number | string)[];
  readonly value: Value;
}

/** QuickGelu's factor (Hendrycks and Gimpel, arXiv 1606.08415, section 2). */
export const QUICK_GELU_ALPHA = 1.702;

/** The op vocabulary: each op's attributes. What the inputs are stands beside it, in order. */
export interface Ops {
  /** () A tensor of the checkpoint, read in place. `shape` may regroup the stored shape (same elements, same order). */
  weight: { readonly tensor: TensorView; readonly shape: readonly number[] };
  /** () A small constant of the graph itself. */
  constant: { readonly data: Float32Array; readonly shape: readonly number[] };
  /** (x [..., in], weight [out, in], bias? [out]) -> [..., out]. */
  linear: Record<string, never>;
  /** (x [N, C, H, W], weight [out, C/groups, kh, kw], bias? [out]); `padding` is top, left, bottom, right. */
  conv2d: { readonly stride: number; readonly padding: readonly [number, number, number, number] };
  /** (x [N, C, H, W], gamma [C], beta [C]), then SiLU where `silu` says so: the pair is one kernel on some devices. */
  groupNorm: { readonly groups: number; readonly epsilon: number; readonly silu: boolean };
  /** (x [..., C], gamma [C], beta [C]). */
  layerNorm: { readonly epsilon: number };
  /** (query [N, T, C], key [N, S, C], value [N, S, C]) -> [N, T, C]: softmax(QK'/sqrt(C/heads))V for each head. */
  attention: { readonly heads: number; readonly causal: boolean };
  /** (x [..., 2C]) -> [..., C]: the first half times GELU (the error function's form) of the second. */
  geglu: Record<string, never>;
  silu: Record<string, never>;
  gelu: Record<string, never>;
  /** x sigmoid(QUICK_GELU_ALPHA x). */
  quickGelu: Record<string, never>;
  relu: Record<string, never>;
  tanh: Record<string, never>;
  /** (a, b): broadcast as in ONNX and torch. */
  add: Record<string, never>;
  multiply: Record<string, never>;
  /** (x): times a number. */
  scale: { readonly factor: number };
  /** (a, b, ...) along an axis. */
  concat: { readonly axis: number };
  /** (x, reference): nearest neighbour to the height and width of the reference. */
  upsampleLike: Record<string, never>;
  /** (x [N, C, H, W]) to twice the height and width, nearest neighbour. */
  upsample2x: Record<string, never>;
  /** (x [N, C, H, W]) -> [N, H W, C]. */
  imageToTokens: Record<string, never>;
  /** (tokens [N, H W, C], reference [N, *, H, W]) -> [N, C, H, W]. */
  tokensToImage: { readonly channels: number };
  /** (x [N, C]) -> [N, C, 1, 1], to be added to every pixel. */
  spread: Record<string, never>;
  /** (x [N, T, C], index int64 [N]) -> [N, C]: one token of each row. */
  pickToken: Record<string, never>;
}

export type OpName = keyof Ops;

/** One operation; narrow it by `op`. */
export type Node = { [K in OpName]: NodeOf<K> }[OpName];

export interface NodeOf<K extends OpName> {
  readonly op: K;
  readonly attributes: Ops[K];
  readonly inputs: readonly Value[];
  readonly output: Value;
}
