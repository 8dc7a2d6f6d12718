/**
 * The releases that Kiln's CUDA backend is written against: ONNX Runtime's GPU build, and CUDA 13 and cuDNN 9 in the versions
 * that it was built with. A provider's library belongs to the ONNX Runtime of the very same release.
 */
export const ONNXRUNTIME_VERSION = "1.30.0";

/** The name of ONNX Runtime's own library in the GPU wheel. */
export const ONNXRUNTIME_LIBRARY = `libonnxruntime.so.${ONNXRUNTIME_VERSION}`;

/** The NVIDIA driver from which on CUDA 13 runs. */
export const LEAST_DRIVER = "580";

/** A Python wheel that libraries are taken from. */
export interface LibraryWheel {
  readonly package: string;
  readonly version: string;
  /** As pip names it. */
  readonly platform: string;
  /** What one fetches, in MB. */
  readonly megabytes: number;
  /** Libraries by name, with the SHA-256 of each. */
  readonly libraries: ReadonlyMap<string, string>;
}

/** Libraries of CUDA and cuDNN that must load before the provider does, in the order in which they need each other. */
export const CUDA_LIBRARIES = [
  "libcudart.so.13",
  "libcublasLt.so.13",
  "libcublas.so.13",
  "libcurand.so.10",
  "libcudnn.so.9",
] as const;

/** Libraries that some kernels of cuDNN are compiled with as they are needed; without it others are taken. */
export const OPTIONAL_CUDA_LIBRARIES = ["libnvrtc.so.13"] as const;
