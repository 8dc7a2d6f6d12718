import type { OnnxDialect } from "../onnx/dialect.ts";

/**
 * What the WebGPU provider of ONNX Runtime 1.30 has kernels for: no FusedMatMul, and whole numbers of 32 bits at most, not even to
 * join the sizes of a shape. With it everything that has data runs on the device.
 */
export function webGpuDialect(element: OnnxDialect["element"], attention: OnnxDialect["attention"]): OnnxDialect {
  return { element, indices: "int32", linear: "convolution", sizes: "apart", attention };
}
