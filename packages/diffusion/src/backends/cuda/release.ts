import type { LibraryWheel } from "../install/library-wheel.ts";

/**
 * The releases that Kiln's CUDA backend is written against: ONNX Runtime's GPU build, and CUDA 13 and cuDNN 9 in the versions
 * that it was built with. A provider's library belongs to the ONNX Runtime of the very same release.
 */
export const ONNXRUNTIME_VERSION = "1.30.0";

/** The name of ONNX Runtime's own library in the GPU wheel. */
export const ONNXRUNTIME_LIBRARY = `libonnxruntime.so.${ONNXRUNTIME_VERSION}`;

/** The NVIDIA driver from which on CUDA 13 runs. */
export const LEAST_DRIVER = "580";

/** Libraries of CUDA and cuDNN that must load before the provider does, in the order in which they need each other. */
export const CUDA_LIBRARIES = [
  "libcudart.so.13",
  "libcublasLt.so.13",
  "libcublas.so.13",
  "libcurand.so.10",
  "libcudnn.so.9",
] as const;

/** With these, cuDNN compiles some kernels as they are needed; without them it takes others. */
export const OPTIONAL_CUDA_LIBRARIES = ["libnvrtc.so.13"] as const;

/** ONNX Runtime with its CUDA provider. */
export const ONNXRUNTIME_WHEEL: LibraryWheel = {
  package: "onnxruntime-gpu",
  version: ONNXRUNTIME_VERSION,
  platform: "manylinux_2_28_x86_64",
  megabytes: 247,
  libraries: new Map([
    [ONNXRUNTIME_LIBRARY, "5a140dc17c8b60b35b2ceab0bb533e65ac54f06a208948417c1f9c31df6afc4c"],
    ["libonnxruntime_providers_shared.so", "086ec1d5388f64153d9c63470d126693db9a182c8ce236d3a1119068471b8a0d"],
    ["libonnxruntime_providers_cuda.so", "35da2e7ed0dd0d1aec5cdb16ce11a51d06c0c48cf62d1b1c9332946a4fae14fc"],
  ]),
};

/** CUDA's and cuDNN's own libraries, as NVIDIA publishes them. The first of each is the one that the others of it belong to. */
export const CUDA_WHEELS: readonly LibraryWheel[] = [
  {
    package: "nvidia-cuda-runtime",
    version: "13.0.96",
    platform: "manylinux_2_17_x86_64",
    megabytes: 2,
    libraries: new Map([["libcudart.so.13", "96c42e418cec19054186b9429c321603cc190bf26a18104e19408117a2a817b0"]]),
  },
  {
    package: "nvidia-cublas",
    version: "13.0.2.14",
    platform: "manylinux_2_27_x86_64",
    megabytes: 421,
    libraries: new Map([
      ["libcublas.so.13", "1d5f1452af53a0b1cf36bc7d8116d2a22a5f2cffbaa8fca25a1b70360a2e8d7a"],
      ["libcublasLt.so.13", "4c15f403ac2a8040a3291d07f6c351b5c1f730b45f2ea41f302e415e9600655b"],
    ]),
  },
  {
    package: "nvidia-curand",
    version: "10.4.0.35",
    platform: "manylinux_2_27_x86_64",
    megabytes: 60,
    libraries: new Map([["libcurand.so.10", "b53732a66b302b11926e00f762e2c2ba67058347ff93cf4ae709de45e93e06da"]]),
  },
  {
    package: "nvidia-cuda-nvrtc",
    version: "13.0.88",
    platform: "manylinux_2_12_x86_64",
    megabytes: 90,
    libraries: new Map([
      ["libnvrtc.so.13", "a49e67e8e74590f1e98de55c39c6287efd3f59e3c3797464d7bbe0fe01349b11"],
      ["libnvrtc-builtins.so.13.0", "91dcd944d01da9c0f08fff5d779db136a47f6d62bdb63bae900d2f481e92c3a2"],
    ]),
  },
  {
    package: "nvidia-cudnn-cu13",
    version: "9.14.0.64",
    platform: "manylinux_2_27_x86_64",
    megabytes: 351,
    libraries: new Map([
      ["libcudnn.so.9", "6236c8c4052ee9e7ee4f3e67f12a6253a738c782a9b0e7e18e6af3310ba2fdc7"],
      ["libcudnn_adv.so.9", "65c6dbc239b4a55d51d29c3499e6cb3cb8660336284555939ab9b096346b3fb0"],
      ["libcudnn_cnn.so.9", "73b0050755d9042f533ddb90b692546b2290f2b5476b982cd0cd992360302673"],
      ["libcudnn_engines_precompiled.so.9", "762a024b68f45ecea2484fb43a40c9f25bdd0b398c6442583d9d75128505ed0a"],
      ["libcudnn_engines_runtime_compiled.so.9", "3d94bd79fe0804e3c4a0af4c7f181b45df2c5224965b503dbe9d12126777e126"],
      ["libcudnn_graph.so.9", "a60eb678296280a5dfbca22f2a16edc8e62c4a7b1e98530fffa7dbbeb40dd1c9"],
      ["libcudnn_heuristic.so.9", "746e39f78744e2f7d06dc101b71e1b7b2a933a2330dc476e0427e89756ab6787"],
      ["libcudnn_ops.so.9", "9f273296228274ece6982663a3bb552eb094c04fd15de2b8a73520e19a8b3929"],
    ]),
  },
];
