import { KilnError } from "../errors.ts";
import type { Weights } from "./tensor-view.ts";

const SHOWN = 5;

/**
 * Compares a network's tensors with those that its code asks for.
 * @param network its name for the message ("UNet")
 * @param expected name and shape of every tensor; a tensor that is not in it does no harm
 * @throws KilnError checkpoint_incomplete that counts what is missing or misshapen and names the first five
 */
export function checkWeights(
  network: string,
  weights: Weights,
  expected: Iterable<readonly [name: string, shape: readonly number[]]>,
  file: string,
): void {
  const faults: string[] = [];
  for (const [name, shape] of expected) {
    const found = weights.get(name)?.shape;
    if (found === undefined) faults.push(`${name} is missing`);
    else if (found.length !== shape.length || found.some((size, i) => size !== shape[i])) {
      faults.push(`${name} is [${found.join(", ")}] in place of [${shape.join(", ")}]`);
    }
  }
  if (faults.length === 0) return;
  const more = faults.length > SHOWN ? `, and ${faults.length - SHOWN} more` : "";
  const message = `${file}: ${faults.length} tensors of the ${network} are missing or have another shape (${faults.slice(0, SHOWN).join("; ")}${more}): download the file again, or pass the config folder that belongs to it.`;
  throw new KilnError("checkpoint_incomplete", message, { subject: file });
}
