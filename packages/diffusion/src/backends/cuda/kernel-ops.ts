import type { ModelWriter } from "../onnx/model-proto.ts";

/** What normalises images here: GroupNorm, with SiLU where it says so. */
export interface GroupNormAttributes {
  readonly groups: number;
  readonly epsilon: number;
  readonly silu: boolean;
}

export interface ConvolutionAttributes {
  readonly kernel: readonly [number, number];
  readonly stride: number;
  /** The same above and below, and left and right. */
  readonly padding: readonly [number, number];
}

/** An image's sizes as it lies: batch, height, width, channels. */
export type ImageShape = readonly [number, number, number, number];

/**
 * The ops that a GPU has kernels of its own for. Images are (N, H, W, C), names are values of the model being written. The lowering
 * is written against this: a GPU's kernels are one form of it, their definitions in ONNX's own ops are another, which any CPU runs.
 */
export interface KernelOps {
  /** @param weight (out, height, width, in); @param bias (out). */
  convolution(x: string, weight: string, bias: string | undefined, attributes: ConvolutionAttributes): string;
  /** Whether the fused kernels take these sizes; elsewhere `decomposedGroupNorm` stands in. */
  groupNormFits(channels: number, groups: number): boolean;
  /** @param gamma and beta: (C), always float32. */
  groupNorm(x: string, gamma: string, beta: string, shape: ImageShape, attributes: GroupNormAttributes): string;
  /**
   * GroupNorm of x + skip + bias.
   * @param skip the image's shape, or (N, 1, 1, C).
   * @returns the normalised image, and the sum before, which is there where `wantsSum` says so.
   */
  skipGroupNorm(
    inputs: { x: string; gamma: string; beta: string; skip: string; bias: string | undefined },
    shape: ImageShape,
    attributes: GroupNormAttributes,
    wantsSum: boolean,
  ): { normed: string; sum: string };
  /** Whether the fused kernel takes so many channels before the split. */
  biasSplitGeluFits(channels: number): boolean;
  /** (N, S, 2C) + bias (2C) -> (N, S, C): the first half times GELU of the second. */
  biasSplitGelu(x: string, bias: string): string;
  /** (N, S, C) + bias (C) + skip (N, S, C). */
  biasAdd(x: string, bias: string, skip: string): string;
}

/** Makes the ops for one model. */
export type KernelOpsMaker = (writer: ModelWriter, type: "float16" | "float32") => KernelOps;
