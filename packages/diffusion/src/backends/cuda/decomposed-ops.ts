import { CONTRIB_DOMAIN, type ModelWriter } from "../onnx/model-proto.ts";
import { numberBytes } from "./float16.ts";
import type { GroupNormAttributes, ImageShape } from "./kernel-ops.ts";
import type { ComputeType } from "./weight-request.ts";

/** Ops as their definitions in ONNX's own, for sizes that no fused kernel takes. */

/** Image to channels first. */
export function channelsFirst(writer: ModelWriter, x: string): string {
  return writer.op("Transpose", [x], { perm: [0, 3, 1, 2] });
}

/** Image to channels last. */
export function channelsLast(writer: ModelWriter, x: string): string {
  return writer.op("Transpose", [x], { perm: [0, 2, 3, 1] });
}

/** x sigmoid(x) (SiLU): QuickGelu with alpha 1. */
export function silu(writer: ModelWriter, x: string): string {
  return writer.op("QuickGelu", [x], { alpha: { float: 1 } }, CONTRIB_DOMAIN);
}

/**
 * GroupNorm (Wu and He, arXiv 1803.08494) by instance normalisation: each group is one channel of it. gamma and beta are float32.
 */
export function decomposedGroupNorm(
  writer: ModelWriter,
  type: ComputeType,
  { x, gamma, beta }: { x: string; gamma: string; beta: string },
  [batch, height, width, channels]: ImageShape,
  { groups, epsilon, silu: active }: GroupNormAttributes,
): string {
  const grouped = writer.op("Reshape", [channelsFirst(writer, x), writer.ints([batch, groups, -1])]);
  const ones = writer.inline(type, [groups], numberBytes(new Float32Array(groups).fill(1), type));
  const zeros = writer.inline(type, [groups], numberBytes(new Float32Array(groups), type));
  const normed = writer.op("InstanceNormalization", [grouped, ones, zeros], { epsilon: { float: epsilon } });
  const image = channelsLast(writer, writer.op("Reshape", [normed, writer.ints([batch, channels, height, width])]));
  const narrow = (vector: string): string => (type === "float32" ? vector : writer.op("Cast", [vector], { to: FLOAT16 }));
  const result = writer.op("Add", [writer.op("Mul", [image, narrow(gamma)]), narrow(beta)]);
  return active ? silu(writer, result) : result;
}

/** TensorProto.FLOAT16. */
const FLOAT16 = 10;

/** (..., 2C) -> (..., C): the first half times GELU (the error function's form) of the second. */
export function decomposedSplitGelu(writer: ModelWriter, x: string): string {
  const [hidden = "", gate = ""] = writer.node("Split", [x], { axis: -1, num_outputs: 2 }, "", 2);
  return writer.op("Mul", [hidden, writer.op("Gelu", [gate], {}, CONTRIB_DOMAIN)]);
}
