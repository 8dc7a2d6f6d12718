import { KilnError } from "../errors.ts";
import type { Backend } from "./backend.ts";
import { onnxBackend } from "./onnx/onnx-backend.ts";
import { findOpenVino } from "./openvino/find-openvino.ts";
import { openVinoBackend } from "./openvino/openvino-backend.ts";

/** Devices by the names that `--device` takes. */
export const DEVICES = ["auto", "cpu", "onnx", "openvino"] as const;
export type Device = (typeof DEVICES)[number];

export const PRECISIONS = ["auto", "float32", "bfloat16"] as const;
export type Precision = (typeof PRECISIONS)[number];

export interface BackendChoice {
  /** `auto` and `cpu`: OpenVINO where it is installed, else ONNX Runtime. */
  readonly device?: Device;
  /** `auto`: bfloat16 with OpenVINO, float32 with ONNX Runtime. */
  readonly precision?: Precision;
  readonly threads?: number;
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
export function chooseBackend({ device = "auto", precision = "auto", threads }: BackendChoice = {}): ChosenBackend {
  const count = threads === undefined ? {} : { threads };
  const libraries = device === "onnx" ? undefined : findOpenVino();
  if (libraries !== undefined) {
    const chosen = precision === "auto" ? "bfloat16" : precision;
    return { backend: openVinoBackend({ libraries, precision: chosen, ...count }), why: `OpenVINO is installed in ${libraries}` };
  }
  if (device === "openvino") {
    throw new KilnError("backend_unavailable", 'OpenVINO is not installed: run "kiln accel install".');
  }
  if (precision === "bfloat16") {
    throw new KilnError("invalid_request", 'bfloat16 needs OpenVINO: run "kiln accel install", or ask for float32.', {
      subject: "precision",
    });
  }
  const why =
    device === "onnx"
      ? "it was asked for"
      : 'OpenVINO, several times as fast in bfloat16, is not installed (run "kiln accel install")';
  return { backend: onnxBackend(count), why };
}
