import { type Backend, chooseBackend, DEVICES, PRECISIONS } from "../index.ts";
import { oneOf } from "./fields.ts";

/**
 * Opens the backend that a name and a precision mean, each time anew.
 * @throws Error naming what there is, for a name that means none; KilnError backend_unavailable where it is not installed
 */
export function backendOpener(backend = "onnx", precision = "float32"): () => Backend {
  const choice = { device: oneOf("backend", DEVICES, backend), precision: oneOf("precision", PRECISIONS, precision) };
  return () => chooseBackend(choice).backend;
}
