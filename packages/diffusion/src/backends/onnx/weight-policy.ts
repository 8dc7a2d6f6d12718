import { BYTES_PER_ELEMENT, type StorageType, type TensorView } from "../../checkpoint/tensor-view.ts";

/**
 * Where weights are between calls. `mapped`: in their files, as they are stored; each call widens them to float32 layer by
 * layer. Nothing is loaded, the system may take the memory back at any time, and all sessions and processes share it.
 * `resident`: widened once, in memory of the session's own: twice the memory of a float16 file and some seconds to load, and
 * each call saves the widening. `halved`: in float16 in memory of the session's own, whatever they are stored in, and widened
 * at each call: for a device whose memory is scarce, and whose kernels would also add in float16 what they are given in it.
 */
export type WeightPolicy = "mapped" | "resident" | "halved";

/** Types that ONNX Runtime widens as fast as memory delivers them. Those of 8 bits go number by number: they are widened once. */
const QUICKLY_WIDENED: ReadonlySet<StorageType> = new Set(["float16", "bfloat16"]);

/**
 * Whether a tensor stays in its file under this policy. Biases and norms are too small to be worth a call each, and a
 * transposed tensor would be turned again each time.
 */
export function isMapped(tensor: TensorView, policy: WeightPolicy): boolean {
  if (policy !== "mapped" || typeof tensor.source !== "string" || tensor.transposed === true) return false;
  return QUICKLY_WIDENED.has(tensor.type) && tensor.shape.length > 1;
}

/** Whether a tensor is held in float16 under this policy. Biases and norms are too small to be worth a call each. */
export function isHalved(tensor: TensorView, policy: WeightPolicy): boolean {
  return policy === "halved" && tensor.shape.length > 1;
}

/** Bytes of a tensor that a session reads: those of a mapped one are the file's own, others are held as `policy` says. */
export function weightBytesOf(tensor: TensorView, policy: WeightPolicy): number {
  if (isMapped(tensor, policy)) return tensor.byteLength;
  return isHalved(tensor, policy) ? float32Bytes(tensor) / 2 : float32Bytes(tensor);
}

/** Bytes of a tensor that must stay in memory: none of one that is mapped, nor of float32 in a file, which is used in place. */
export function residentBytesOf(tensor: TensorView, policy: WeightPolicy): number {
  const inPlace = tensor.type === "float32" && typeof tensor.source === "string" && tensor.transposed !== true;
  return inPlace || isMapped(tensor, policy) ? 0 : float32Bytes(tensor);
}

function float32Bytes(view: TensorView): number {
  return (view.byteLength / BYTES_PER_ELEMENT[view.type]) * BYTES_PER_ELEMENT.float32;
}
