import { Mt19937 } from "./mt19937.ts";
import { type NormalType, rounding } from "./narrow-float.ts";
import type { RandomSource, RandomState } from "./random.ts";

/** Draws of at least this many numbers take torch's block path. */
const BLOCK = 16;
const HALF_BLOCK = 8;

/**
 * The stream of `torch.randn(..., generator=torch.Generator("cpu").manual_seed(seed))`.
 *
 * Sixteen numbers and more are filled with uniforms first and then turned into normals in blocks of 16 by
 * Box and Muller's method (number j is paired with j + 8); where 16 does not divide the count, the last 16
 * numbers are drawn anew. The narrow types are float32 numbers rounded, and draw block by block, so that a
 * count that 16 does not divide takes fewer uniforms from the generator.
 *
 * Fewer than sixteen come in double precision, two at a time, and the second waits in the generator for the next
 * small draw, whatever was drawn in between.
 */
export class TorchCpuRandom implements RandomSource {
  readonly #seed: bigint;
  #bits: Mt19937;
  #waiting: number | undefined;

  /** @param seed 0 to 2^64 - 1; like torch's, the engine takes its lower 32 bits. */
  constructor(seed: bigint) {
    this.#seed = seed;
    this.#bits = new Mt19937(Number(BigInt.asUintN(32, seed)));
  }

  normal(count: number, type: NormalType = "float32"): Float32Array | Float64Array {
    const out = type === "float64" ? new Float64Array(count) : new Float32Array(count);
    const round = rounding(type);
    if (count < BLOCK) {
      for (let i = 0; i < count; i++) out[i] = round(this.#single());
      return out;
    }
    if (type === "float32" || type === "float64") {
      this.#fillUniform(out, type);
      for (let i = 0; i + BLOCK <= count; i += BLOCK) toNormal(out.subarray(i, i + BLOCK), type);
      if (count % BLOCK !== 0) this.#fillBlock(out.subarray(count - BLOCK), type);
      return out;
    }
    for (let i = 0; i + BLOCK <= count; i += BLOCK) this.#fillBlock(out.subarray(i, i + BLOCK), "float32");
    if (count % BLOCK !== 0) this.#fillBlock(out.subarray(count - BLOCK), "float32");
    for (let i = 0; i < count; i++) out[i] = round(out[i] ?? 0);
    return out;
  }

  state(): RandomState {
    const words = this.#bits.state();
    if (this.#waiting !== undefined) words.push(...new Uint32Array(Float64Array.of(this.#waiting).buffer));
    return { kind: "torch-cpu", seed: this.#seed.toString(), words };
  }

  /** A source that goes on where `state()` was taken: the generator's words, and the waiting number's two halves where there is one. */
  static restore(seed: bigint, words: readonly number[], waiting: readonly number[]): TorchCpuRandom {
    const source = new TorchCpuRandom(seed);
    source.#bits = Mt19937.restore(words);
    if (waiting.length === 2) source.#waiting = new Float64Array(Uint32Array.from(waiting).buffer)[0];
    return source;
  }

  #fillBlock(block: Float32Array | Float64Array, type: "float32" | "float64"): void {
    this.#fillUniform(block, type);
    toNormal(block, type);
  }

  /** Uniform numbers in [0, 1) with as many bits as the type's significand holds. */
  #fillUniform(data: Float32Array | Float64Array, type: "float32" | "float64"): void {
    for (let i = 0; i < data.length; i++)
      data[i] = type === "float32" ? (this.#bits.next() & 0xffffff) * 2 ** -24 : this.#uniformDouble();
  }

  /** The lower 53 of 64 bits; the first word drawn is the upper one. */
  #uniformDouble(): number {
    const high = this.#bits.next() & 0x1fffff;
    return (high * 2 ** 32 + this.#bits.next()) * 2 ** -53;
  }

  #single(): number {
    if (this.#waiting !== undefined) {
      const value = this.#waiting;
      this.#waiting = undefined;
      return value;
    }
    const angle = 2 * Math.PI * this.#uniformDouble();
    const radius = Math.sqrt(-2 * Math.log1p(-this.#uniformDouble()));
    this.#waiting = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}

/**
 * Turns 16 uniforms into 16 normals in place. In float32 each intermediate is rounded as torch's is; above all
 * the angle, whose rounding error the radius multiplies (up to 1.4e-6).
 */
function toNormal(block: Float32Array | Float64Array, type: "float32" | "float64"): void {
  const round = rounding(type);
  const turn = round(2 * Math.PI);
  for (let j = 0; j < HALF_BLOCK; j++) {
    const radius = round(Math.sqrt(round(-2 * round(Math.log(1 - (block[j] ?? 0))))));
    const angle = round(turn * (block[j + HALF_BLOCK] ?? 0));
    block[j] = radius * round(Math.cos(angle));
    block[j + HALF_BLOCK] = radius * round(Math.sin(angle));
  }
}
