import { KilnError } from "../errors.ts";
import { MT19937_STATE_LENGTH } from "./mt19937.ts";
import { PhiloxRandom } from "./philox.ts";
import type { RandomKind, RandomSource, RandomState } from "./random.ts";
import { TorchCpuRandom } from "./torch-cpu.ts";

/** Seeds have 64 bits in torch and in Philox. */
export const MAX_SEED = 2n ** 64n - 1n;

/**
 * A fresh stream of noise.
 * @param seed a whole number from 0 to 2^64 - 1; beyond 2^53 only a bigint holds it exactly
 * @throws KilnError `invalid_request` for any other seed
 */
export function createRandom(kind: RandomKind, seed: bigint | number): RandomSource {
  const checked = checkSeed(seed);
  return kind === "philox" ? new PhiloxRandom(checked) : new TorchCpuRandom(checked);
}

/**
 * The stream that goes on where `state()` was taken, in this process or another.
 * @throws KilnError `invalid_request` where the state is not one that `state()` makes
 */
export function restoreRandom(state: RandomState): RandomSource {
  const seed = checkSeed(/^\d{1,20}$/.test(state.seed) ? BigInt(state.seed) : -1n);
  const { words } = state;
  if (!words.every((word) => Number.isInteger(word) && word >= 0 && word <= 0xffffffff)) throw brokenState();
  if (state.kind === "philox") {
    const [draws] = words;
    if (draws === undefined || words.length !== 1) throw brokenState();
    return new PhiloxRandom(seed, draws);
  }
  const engine = words.slice(0, MT19937_STATE_LENGTH);
  const waiting = words.slice(MT19937_STATE_LENGTH);
  const position = engine[MT19937_STATE_LENGTH - 1];
  if (position === undefined || position >= MT19937_STATE_LENGTH) throw brokenState();
  if (waiting.length !== 0 && waiting.length !== 2) throw brokenState();
  return TorchCpuRandom.restore(seed, engine, waiting);
}

function checkSeed(seed: bigint | number): bigint {
  const valid = typeof seed === "bigint" || Number.isSafeInteger(seed);
  if (!valid || seed < 0 || seed > MAX_SEED) {
    throw new KilnError("invalid_request", `seed must be a whole number from 0 to ${MAX_SEED}; ${seed} is not.`, {
      subject: "seed",
    });
  }
  return BigInt(seed);
}

function brokenState(): KilnError {
  return new KilnError(
    "invalid_request",
    "The random generator's state is not one that Kiln wrote; start the picture again from its seed.",
    {
      subject: "random",
    },
  );
}
