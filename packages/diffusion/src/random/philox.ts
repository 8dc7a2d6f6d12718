import { type NormalType, rounding } from "./narrow-float.ts";
import type { RandomSource, RandomState } from "./random.ts";

const ROUNDS = 10;
const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;

/** The constants have float32's precision, as on the GPU whose stream is reproduced. */
const TO_UNIT = Math.fround(2.3283064e-10);
const TO_ANGLE = Math.fround(2.3283064e-10 * 6.2831855);

/**
 * The stream that AUTOMATIC1111 calls "NV": what torch draws on an NVIDIA GPU, number i of draw n being
 * Philox 4x32-10 (Salmon et al. 2011, doi:10.1145/2063384.2063405) at the counter (n, 0, i, 0) under the seed as
 * key, of whose four words the first two make one normal number by Box and Muller's method.
 * Types narrower than float32 round the same numbers.
 */
export class PhiloxRandom implements RandomSource {
  readonly #seed: bigint;
  #draws: number;

  /**
   * @param seed  0 to 2^64 - 1, all bits count
   * @param draws draws made before
   */
  constructor(seed: bigint, draws = 0) {
    this.#seed = seed;
    this.#draws = draws;
  }

  normal(count: number, type: NormalType = "float32"): Float32Array | Float64Array {
    const out = type === "float64" ? new Float64Array(count) : new Float32Array(count);
    const round = rounding(type);
    const low = Number(BigInt.asUintN(32, this.#seed));
    const high = Number(this.#seed >> 32n);
    const words = new Uint32Array(4);
    for (let i = 0; i < count; i++) {
      words[0] = this.#draws;
      words[1] = 0;
      words[2] = i;
      words[3] = 0;
      philox(words, low, high);
      out[i] = round(boxMuller(words[0] ?? 0, words[1] ?? 0));
    }
    this.#draws++;
    return out;
  }

  state(): RandomState {
    return { kind: "philox", seed: this.#seed.toString(), words: [this.#draws] };
  }
}

function boxMuller(first: number, second: number): number {
  const unit = first * TO_UNIT + TO_UNIT / 2;
  const angle = second * TO_ANGLE + TO_ANGLE / 2;
  return Math.fround(Math.sqrt(-2 * Math.log(unit)) * Math.sin(angle));
}

function philox(words: Uint32Array, keyLow: number, keyHigh: number): void {
  let key0 = keyLow;
  let key1 = keyHigh;
  for (let round = 0; round < ROUNDS; round++) {
    const a = words[0] ?? 0;
    const c = words[2] ?? 0;
    const w1 = words[1] ?? 0;
    const w3 = words[3] ?? 0;
    words[0] = upperWord(c, MULTIPLIER_1) ^ w1 ^ key0;
    words[1] = Math.imul(c, MULTIPLIER_1);
    words[2] = upperWord(a, MULTIPLIER_0) ^ w3 ^ key1;
    words[3] = Math.imul(a, MULTIPLIER_0);
    key0 = (key0 + WEYL_0) >>> 0;
    key1 = (key1 + WEYL_1) >>> 0;
  }
}

/** The upper 32 bits of the product of two 32-bit numbers, by halves that doubles hold exactly. */
function upperWord(a: number, b: number): number {
  const low = (a & 0xffff) * b;
  const high = (a >>> 16) * b;
  return Math.floor((high + Math.floor(low / 0x10000)) / 0x10000);
}
