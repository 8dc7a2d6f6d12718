import { channelsFirst, channelsLast, decomposedGroupNorm, decomposedSplitGelu } from "../backends/cuda/decomposed-ops.ts";
import type { KernelOpsMaker } from "../backends/cuda/kernel-ops.ts";

/**
 * The GPU's own ops by their definitions, in ops that the CPU has kernels for: the same lowering, with the same fusions and
 * layouts, can be run and compared where there is no GPU.
 */
export const plainKernelOps: KernelOpsMaker = (writer, type) => ({
  convolution: (x, weight, bias, { kernel, stride, padding: [vertical, horizontal] }) => {
    const turned = writer.op("Transpose", [weight], { perm: [0, 3, 1, 2] });
    const inputs = [channelsFirst(writer, x), turned, ...(bias === undefined ? [] : [bias])];
    const pads = [vertical, horizontal, vertical, horizontal];
    return channelsLast(writer, writer.op("Conv", inputs, { kernel_shape: kernel, strides: [stride, stride], pads }));
  },
  groupNormFits: () => true,
  groupNorm: (x, gamma, beta, shape, attributes) => decomposedGroupNorm(writer, type, { x, gamma, beta }, shape, attributes),
  skipGroupNorm: ({ x, gamma, beta, skip, bias }, shape, attributes) => {
    const both = writer.op("Add", [x, skip]);
    const sum = bias === undefined ? both : writer.op("Add", [both, bias]);
    return { normed: decomposedGroupNorm(writer, type, { x: sum, gamma, beta }, shape, attributes), sum };
  },
  biasSplitGeluFits: () => true,
  biasSplitGelu: (x, bias) => decomposedSplitGelu(writer, writer.op("Add", [x, bias])),
  biasAdd: (x, bias, skip) => writer.op("Add", [writer.op("Add", [x, bias]), skip]),
});
