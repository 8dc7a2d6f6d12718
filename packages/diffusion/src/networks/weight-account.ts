import type { CompiledGraph } from "../backends/backend.ts";
import type { TensorView } from "../checkpoint/tensor-view.ts";

/** The memory that the weights of compiled networks take together: a tensor that several networks share counts once. */
export class WeightAccount {
  #bytes = 0;
  readonly #readers = new Map<TensorView, number>();

  get bytes(): number {
    return this.#bytes;
  }

  add({ weightBytes, sharedWeights }: CompiledGraph): void {
    if (!sharedWeights) this.#bytes += weightBytes;
    else for (const [tensor, bytes] of sharedWeights) this.#read(tensor, bytes, 1);
  }

  remove({ weightBytes, sharedWeights }: CompiledGraph): void {
    if (!sharedWeights) this.#bytes -= weightBytes;
    else for (const [tensor, bytes] of sharedWeights) this.#read(tensor, bytes, -1);
  }

  #read(tensor: TensorView, bytes: number, change: 1 | -1): void {
    const before = this.#readers.get(tensor) ?? 0;
    const now = before + change;
    if (now === 0) this.#readers.delete(tensor);
    else this.#readers.set(tensor, now);
    if (before === 0 || now === 0) this.#bytes += change * bytes;
  }
}

/** Whether these others hold all that a network holds, so that nothing would be free without it. */
export function isHeldBy(others: readonly CompiledGraph[], { sharedWeights }: CompiledGraph): boolean {
  if (!sharedWeights) return false;
  return [...sharedWeights.keys()].every((tensor) => others.some((other) => other.sharedWeights?.has(tensor)));
}
