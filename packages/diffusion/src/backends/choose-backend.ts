import { KilnError } from "../errors.ts";
import type { Backend } from "./backend.ts";
import { type CudaOptions, cudaBackend } from "./cuda/cuda-backend.ts";
import { cudaDevices } from "./cuda/cuda-driver.ts";
import { CUDA_FOLDER_VARIABLE, cudaFolder, findCuda } from "./cuda/find-cuda.ts";
import { onnxBackend } from "./onnx/onnx-backend.ts";
import { findOpenVino } from "./openvino/find-openvino.ts";
import { whyInt8GainsNothing } from "./openvino/int8-processor.ts";
import { openVinoBackend } from "./openvino/openvino-backend.ts";
import { describeCard, findWebGpu, mayHaveGraphicsCard, requireWebGpu, whyNotUnasked } from "./webgpu/find-webgpu.ts";
import type { VulkanDevice } from "./webgpu/vulkan.ts";
import { webGpuBackend } from "./webgpu/webgpu-backend.ts";

/** Devices by the names that `--device` takes. */
export const DEVICES = ["auto", "cpu", "onnx", "openvino", "webgpu", "cuda"] as const;
export type Device = (typeof DEVICES)[number];

export const PRECISIONS = ["auto", "float32", "bfloat16", "float16", "int8"] as const;
export type Precision = (typeof PRECISIONS)[number];

/** What else CUDA may be told; other devices do not look at it. */
export type CudaChoice = Omit<CudaOptions, "libraries" | "precision">;

export interface BackendChoice extends CudaChoice {
  /**
   * `cpu`: OpenVINO where it is installed, else ONNX Runtime. `auto`: CUDA where its libraries are installed and a device is
   * there; else as `cpu`, but WebGPU before ONNX Runtime where a graphics card is found.
   */
  readonly device?: Device;
  /** `auto`: float16 with CUDA, bfloat16 with OpenVINO, float32 else. int8 is never chosen unasked: it draws other pictures. */
  readonly precision?: Precision;
  readonly threads?: number;
  /** Told, in a sentence, before something that takes a while, and where what is asked for gains nothing here. */
  readonly onNotice?: (sentence: string) => void;
}

/** A backend, and in a sentence why it is this one. */
export interface ChosenBackend {
  readonly backend: Backend;
  readonly why: string;
}

/**
 * The fastest backend that this machine has for what is asked.
 * @throws KilnError backend_unavailable where a device was named that is not installed; invalid_request for a precision that it lacks
 */
export function chooseBackend({
  device = "auto",
  precision = "auto",
  threads,
  onNotice,
  ...cuda
}: BackendChoice = {}): ChosenBackend {
  if (device === "cuda") return onCuda(precision, cuda);
  if (device === "webgpu") return onWebGpu(precision, requireWebGpu());
  const { chosen: gpu, why: noCuda } = device === "auto" ? cudaWhereItIs(precision, cuda) : NOT_ASKED;
  if (gpu) return gpu;
  const { backend, why } = withoutCuda(device, precision, {
    ...(threads === undefined ? {} : { threads }),
    ...(onNotice === undefined ? {} : { onNotice }),
  });
  return { backend, why: noCuda === undefined ? why : `${why}; ${noCuda}` };
}

function withoutCuda(
  device: Exclude<Device, "cuda" | "webgpu">,
  precision: Precision,
  options: Pick<BackendChoice, "threads" | "onNotice">,
): ChosenBackend {
  const libraries = device === "onnx" || precision === "float16" ? undefined : findOpenVino();
  if (libraries !== undefined) {
    const chosen = precision === "auto" || precision === "float16" ? "bfloat16" : precision;
    const drawback = chosen === "int8" ? whyInt8GainsNothing() : undefined;
    if (drawback !== undefined) options.onNotice?.(`${capitalized(drawback)}.`);
    return {
      backend: openVinoBackend({ libraries, precision: chosen, ...options }),
      why: `OpenVINO is installed in ${libraries}${drawback === undefined ? "" : `; ${drawback}`}`,
    };
  }
  if (device === "openvino" && precision !== "float16") {
    throw new KilnError("backend_unavailable", 'OpenVINO is not installed: run "kiln accel install".');
  }
  const card = device === "auto" ? graphicsCard() : undefined;
  if (card && !isOpenVinos(precision)) {
    const { backend, why } = onWebGpu(precision, card);
    return { backend, why: `${why}; ${NO_OPENVINO}` };
  }
  if (isOpenVinos(precision) || precision === "float16") throw lacksPrecision(precision);
  return { backend: onnxBackend(options), why: device === "onnx" ? "it was asked for" : `${NO_OPENVINO}; ${aboutWebGpu()}` };
}

function capitalized(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

/** CUDA, or, in a sentence where somebody with an NVIDIA GPU would wonder, why not. */
interface CudaOrNot {
  readonly chosen?: ChosenBackend;
  readonly why?: string;
}

const NOT_ASKED: CudaOrNot = {};

function cudaWhereItIs(precision: Precision, options: CudaChoice): CudaOrNot {
  if (isOpenVinos(precision)) return NOT_ASKED;
  const installed = findCuda() !== undefined;
  const { devices, why } = cudaDevices();
  if (devices.length === 0) return installed ? { why: `CUDA is installed, but ${why}` } : NOT_ASKED;
  if (!installed) return { why: `${why}, but CUDA's libraries are not installed (run "kiln accel install cuda")` };
  try {
    return { chosen: onCuda(precision, options) };
  } catch (error) {
    if (error instanceof KilnError) return { why: `CUDA cannot be used: ${error.message}` };
    throw error;
  }
}

function onCuda(precision: Precision, options: CudaChoice): ChosenBackend {
  if (isOpenVinos(precision)) {
    throw new KilnError("invalid_request", "CUDA computes in float16 or float32: ask for one of them.", { subject: "precision" });
  }
  const libraries = findCuda();
  if (!libraries) {
    const missing = `${CUDA_FOLDER_VARIABLE} names, or "kiln accel install cuda" makes, a folder with them`;
    throw new KilnError("backend_unavailable", `CUDA's libraries are not installed in ${cudaFolder()}: ${missing}.`);
  }
  const chosen = precision === "float32" ? precision : "float16";
  const backend = cudaBackend({ ...options, libraries, precision: chosen });
  return { backend, why: `CUDA is installed in ${libraries.folder}, and ${cudaDevices().why}` };
}

const NO_OPENVINO = 'OpenVINO, the fastest on CPUs, is not installed (run "kiln accel install")';

function onWebGpu(precision: Precision, device: VulkanDevice | undefined): ChosenBackend {
  if (isOpenVinos(precision)) {
    throw new KilnError("invalid_request", "WebGPU computes in float32 or float16: ask for one of them.", {
      subject: "precision",
    });
  }
  const card = describeCard(device);
  const backend = webGpuBackend({
    precision: precision === "float16" ? precision : "float32",
    ...(card === undefined ? {} : { card }),
    ...(device === undefined ? {} : { largestTensorBytes: device.largestRange }),
  });
  return { backend, why: findWebGpu().why };
}

/** The graphics card that WebGPU would draw on without being asked to; undefined where there is none that would do. */
function graphicsCard(): VulkanDevice | undefined {
  const { adapter } = mayHaveGraphicsCard() ? findWebGpu() : {};
  return adapter && whyNotUnasked(adapter) === undefined ? adapter : undefined;
}

/** Why WebGPU was not taken by itself. */
function aboutWebGpu(): string {
  if (process.platform !== "linux") return `${findWebGpu().why}: ask for WebGPU with --device webgpu`;
  if (!mayHaveGraphicsCard()) return "no graphics card is here";
  return findWebGpu().why;
}

/** Precisions that OpenVINO alone computes in. */
function isOpenVinos(precision: Precision): precision is "bfloat16" | "int8" {
  return precision === "bfloat16" || precision === "int8";
}

function lacksPrecision(precision: "bfloat16" | "int8" | "float16"): KilnError {
  const where =
    precision !== "float16"
      ? `${precision} needs OpenVINO: run "kiln accel install", or ask for float32.`
      : "float16 needs a graphics card: ask for --device cuda or webgpu, or for another precision.";
  return new KilnError("invalid_request", where, { subject: "precision" });
}
