import { CONTRIB_DOMAIN } from "../onnx/model-proto.ts";
import type { GroupNormAttributes, KernelOpsMaker } from "./kernel-ops.ts";

/**
 * Channels before the split that BiasSplitGelu is compiled for (contrib_ops/cuda/diffusion/bias_split_gelu_impl.cu): twice the
 * widths of the feed-forward layers of SD 1.5, SD 2 and SDXL.
 */
const BIAS_SPLIT_GELU_CHANNELS: ReadonlySet<number> = new Set([2560, 5120, 6144, 10240, 12288]);

/**
 * The diffusion kernels of ONNX Runtime's CUDA provider (contrib_ops/cuda/diffusion, schemas in core/graph/contrib_ops/diffusion_defs.cc).
 *
 * NhwcConv rather than Conv of the domain com.ms.internal.nhwc: the latter takes the file's order (out, in, height, width), but
 * turns it into a copy in each session; NhwcConv reads what it is given, so all sessions share one.
 */
export const cudaOps: KernelOpsMaker = (writer) => {
  const op = (type: string, inputs: readonly string[], attributes: Parameters<typeof writer.op>[2] = {}): string =>
    writer.op(type, inputs, attributes, CONTRIB_DOMAIN);
  return {
    convolution: (x, weight, bias, { kernel, stride, padding: [vertical, horizontal] }) =>
      op("NhwcConv", bias === undefined ? [x, weight] : [x, weight, bias], {
        kernel_shape: kernel,
        strides: [stride, stride],
        pads: [vertical, horizontal, vertical, horizontal],
        dilations: [1, 1],
        group: 1,
      }),
    // The kernels take two channels at a time, and groups lie whole within a block.
    groupNormFits: (channels, groups) => channels % (2 * groups) === 0,
    groupNorm: (x, gamma, beta, _, attributes) => op("GroupNorm", [x, gamma, beta], groupNormAttributes(attributes)),
    skipGroupNorm: ({ x, gamma, beta, skip, bias }, _, attributes, wantsSum) => {
      const inputs = bias === undefined ? [x, gamma, beta, skip] : [x, gamma, beta, skip, bias];
      const outputs = wantsSum ? 2 : 1;
      const [normed = "", sum = ""] = writer.node(
        "SkipGroupNorm",
        inputs,
        groupNormAttributes(attributes),
        CONTRIB_DOMAIN,
        outputs,
      );
      return { normed, sum };
    },
    biasSplitGeluFits: (channels) => BIAS_SPLIT_GELU_CHANNELS.has(channels),
    biasSplitGelu: (x, bias) => op("BiasSplitGelu", [x, bias]),
    biasAdd: (x, bias, skip) => op("BiasAdd", [x, bias, skip]),
  };
};

function groupNormAttributes({ groups, epsilon, silu }: GroupNormAttributes): Record<string, number | { float: number }> {
  return { groups, epsilon: { float: epsilon }, activation: silu ? 1 : 0, channels_last: 1 };
}
