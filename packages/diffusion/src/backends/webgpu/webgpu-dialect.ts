import type { OnnxDialect } from "../onnx/dialect.ts";

/**
 * What the WebGPU provider of ONNX Runtime 1.30 has kernels for: no FusedMatMul, and whole numbers of 32 bits at most, not even to
 * join the sizes of a shape. With it everything that has data runs on the device.
 */
export function webGpuDialect(attention: OnnxDialect["attention"]): OnnxDialect {
  return {
    indices: "int32",
    linear: "convolution",
    sizes: "apart",
    convolutionChannels,
    norms: "centred",
    onlyEpsilon: ONLY_EPSILON,
    attention,
  };
}

/**
 * InstanceNormalization's epsilon is written into its shader, and shaders are kept without regard to it for as long as any session of the
 * process lives: of two epsilons one would be everybody's. This is that of the UNet's ResNets, which are most of the norms there are;
 * transformers and VAEs want another.
 */
const ONLY_EPSILON = 1e-5;

/**
 * The kernel reads input channels in fours or, where their number is divisible by three alone, in threes; of these threes it finds
 * the first alone, so that pictures of three channels are right and what has six, nine (an inpainting UNet) or fifteen is not.
 */
function convolutionChannels(channels: number): number {
  return channels > 3 && channels % 3 === 0 ? Math.ceil(channels / 4) * 4 : channels;
}
