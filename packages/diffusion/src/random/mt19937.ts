const WORDS = 624;
const SHIFT = 397;

/** Numbers in the state of a generator: the 624 words and the position within them. */
export const MT19937_STATE_LENGTH = WORDS + 1;

/**
 * The Mersenne Twister MT19937 (Matsumoto and Nishimura 1998, doi:10.1145/272991.272995),
 * seeded with one 32-bit word as the paper's `init_genrand` does.
 */
export class Mt19937 {
  readonly #words = new Uint32Array(WORDS);
  #position = WORDS;

  constructor(seed: number) {
    this.#words[0] = seed;
    for (let i = 1; i < WORDS; i++) {
      const previous = this.#words[i - 1] ?? 0;
      this.#words[i] = Math.imul(1812433253, previous ^ (previous >>> 30)) + i;
    }
  }

  /** The next 32 bits, as a whole number from 0 to 2^32 - 1. */
  next(): number {
    if (this.#position === WORDS) this.#twist();
    let bits = this.#words[this.#position++] ?? 0;
    bits ^= bits >>> 11;
    bits ^= (bits << 7) & 0x9d2c5680;
    bits ^= (bits << 15) & 0xefc60000;
    return (bits ^ (bits >>> 18)) >>> 0;
  }

  /** The words and the position, for `restore`. */
  state(): number[] {
    return [...this.#words, this.#position];
  }

  /** A generator that goes on where `state` was taken. The caller has checked the numbers. */
  static restore(state: readonly number[]): Mt19937 {
    const generator = new Mt19937(0);
    generator.#words.set(state.slice(0, WORDS));
    generator.#position = state[WORDS] ?? WORDS;
    return generator;
  }

  #twist(): void {
    const words = this.#words;
    for (let i = 0; i < WORDS; i++) {
      const next = words[i + 1 < WORDS ? i + 1 : 0] ?? 0;
      const mixed = ((words[i] ?? 0) & 0x80000000) | (next & 0x7fffffff);
      const far = words[i + SHIFT < WORDS ? i + SHIFT : i + SHIFT - WORDS] ?? 0;
      words[i] = far ^ (mixed >>> 1) ^ (mixed & 1 ? 0x9908b0df : 0);
    }
    this.#position = 0;
  }
}
