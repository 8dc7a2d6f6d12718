import type { NodeOf } from "../../graph/graph.ts";
import { CONTRIB_DOMAIN, type ModelWriter } from "../onnx/model-proto.ts";
import { three } from "../operands.ts";
import type { NormNode } from "./fusions.ts";
import type { KernelOps } from "./kernel-ops.ts";
import { imageShape, sameShape, type Traced } from "./traced.ts";
import type { WeightWriter } from "./weight-writer.ts";

/** A sum and the norm behind it in one kernel: SkipGroupNorm for images, SkipLayerNormalization for tokens. */

interface Parts {
  readonly writer: ModelWriter;
  readonly weights: WeightWriter;
  readonly ops: KernelOps;
}

interface Written {
  readonly normed: string;
  /** The sum before the norm, where it was wanted. */
  readonly sum: string;
}

/** Whether a kernel takes these sizes. @param x with a bias that may still be to be added. */
export function normFits(ops: KernelOps, norm: NormNode, x: Traced, skip: Traced): boolean {
  if (norm.op === "layerNorm") return sameShape(x, skip) && x.shape.length === 3;
  if (x.shape.length !== 4) return false;
  const [batch, , , channels] = imageShape(x);
  const spread = sameShape(skip, { name: "", shape: [batch, 1, 1, channels] });
  return (sameShape(x, skip) || spread) && ops.groupNormFits(channels, norm.attributes.groups);
}

/** Norm of x + skip + the bias that x has. */
export function writeNormOfSum(parts: Parts, norm: NormNode, x: Traced, skip: Traced, wantsSum: boolean): Written {
  return norm.op === "groupNorm" ? skipGroupNorm(parts, norm, x, skip, wantsSum) : skipLayerNorm(parts, norm, x, skip, wantsSum);
}

function skipGroupNorm({ weights, ops }: Parts, norm: NodeOf<"groupNorm">, x: Traced, skip: Traced, wantsSum: boolean): Written {
  const [, gamma, beta] = three(norm.inputs);
  const inputs = {
    x: x.name,
    gamma: weights.float32Vector(gamma),
    beta: weights.float32Vector(beta),
    skip: skip.name,
    bias: x.bias && weights.vector(x.bias),
  };
  return ops.skipGroupNorm(inputs, imageShape(x), norm.attributes, wantsSum);
}

function skipLayerNorm(
  { writer, weights }: Parts,
  norm: NodeOf<"layerNorm">,
  x: Traced,
  skip: Traced,
  wantsSum: boolean,
): Written {
  const [, gamma, beta] = three(norm.inputs);
  const inputs = [x.name, skip.name, weights.vector(gamma), weights.vector(beta)];
  if (x.bias) inputs.push(weights.vector(x.bias));
  const attributes = { epsilon: { float: norm.attributes.epsilon } };
  // Its outputs: the norm, the mean, the inverse deviation, the sum.
  const outputs = wantsSum ? [true, false, false, true] : [true];
  const [normed = "", , , sum = ""] = writer.node("SkipLayerNormalization", inputs, attributes, CONTRIB_DOMAIN, outputs);
  return { normed, sum };
}
