import type { ModelWriter } from "./model-proto.ts";

/** An attention whose query is [N, T, C], whose key and value are [N, S, C]. */
export interface AttentionOperands {
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly heads: number;
  /** Channels of one head of the query and the key. */
  readonly headWidth: number;
  /** Channels of the value, and so of the answer. */
  readonly channels: number;
  readonly causal: boolean;
}

/** Added to a score that must not count: far below every score, and far above where sums end in infinity. */
const NEVER = -65504;

/**
 * softmax(QK'/sqrt(width))V for each head (Vaswani et al., arXiv 1706.03762, equation 1) in ONNX's own ops.
 * @returns [N, T, C].
 */
export function attentionAsProducts(
  writer: ModelWriter,
  { query, key, value, heads, headWidth, channels, causal }: AttentionOperands,
): string {
  const apart = (x: string, width: number, order: readonly number[]): string =>
    writer.op("Transpose", [writer.op("Reshape", [x, writer.ints([0, 0, heads, width])])], { perm: order });
  // The query is smaller than the scores, so that it is the cheaper one to scale.
  const scaled = writer.op("Mul", [query, writer.filled(headWidth ** -0.5, 1)]);
  const products = writer.op("MatMul", [apart(scaled, headWidth, [0, 2, 1, 3]), apart(key, headWidth, [0, 2, 3, 1])]);
  const scores = causal ? writer.op("Add", [products, causalMask(writer, query)]) : products;
  const attended = writer.op("MatMul", [
    writer.op("Softmax", [scores], { axis: -1 }),
    apart(value, channels / heads, [0, 2, 1, 3]),
  ]);
  return writer.op("Reshape", [writer.op("Transpose", [attended], { perm: [0, 2, 1, 3] }), writer.ints([0, 0, channels])]);
}

/** [T, T]: zero where the column is not after the row. Positions are counted in float32, which every device has kernels for. */
function causalMask(writer: ModelWriter, tokens: string): string {
  const ones = writer.op("Expand", [writer.filled(1, 1), writer.op("Shape", [tokens], { start: 1, end: 2 })]);
  const positions = writer.op("CumSum", [ones, writer.ints([0])]);
  const rows = writer.op("Unsqueeze", [positions, writer.ints([1])]);
  const seen = writer.op("GreaterOrEqual", [rows, positions]);
  return writer.op("Where", [seen, writer.filled(0, 1), writer.filled(NEVER, 1)]);
}
