import type { TensorView } from "../../checkpoint/tensor-view.ts";

/** What networks compute in on the device. */
export type ComputeType = "float16" | "float32";

/**
 * How a weight lies on the device. `stored`: row-major, as in the file. `channels-last`: a convolution's (out, in, height, width)
 * as (out, height, width, in).
 */
export type WeightLayout = "stored" | "channels-last";

/** A tensor of a checkpoint in the form that kernels want. */
export interface WeightRequest {
  readonly tensor: TensorView;
  readonly type: ComputeType;
  readonly layout: WeightLayout;
  /** As it lies on the device. */
  readonly shape: readonly number[];
}
