const INIT_A = 0x43b0d7e5;
const MULTIPLY_A = 0x931e8875;
const INIT_B = 0x8b51f9dd;
const MULTIPLY_B = 0x58f38ded;
const MIX_LEFT = 0xca01f9dd;
const MIX_RIGHT = 0x4973f715;

/**
 * The 32-bit words that `numpy.random.SeedSequence(entropy, spawn_key=spawnKey, pool_size=poolSize)` generates:
 * O'Neill's seed_seq_fe hash (https://www.pcg-random.org/posts/developing-a-seed_seq-alternative.html).
 * @param spawnKey whole numbers from 0 to 2^53 - 1
 */
export function seedSequence(entropy: bigint, spawnKey: readonly number[], poolSize: number, count: number): Uint32Array {
  const pool = mixEntropy(assemble(entropy, spawnKey, poolSize), poolSize);
  const out = new Uint32Array(count);
  let hash = INIT_B;
  for (let i = 0; i < count; i++) {
    let word = (pool[i % poolSize] ?? 0) ^ hash;
    hash = Math.imul(hash, MULTIPLY_B);
    word = Math.imul(word, hash);
    out[i] = word ^ (word >>> 16);
  }
  return out;
}

/** The seed's words, filled up to the pool's size so that a spawn key never stands where the seed might. */
function assemble(entropy: bigint, spawnKey: readonly number[], poolSize: number): number[] {
  const own = toWords(entropy);
  if (spawnKey.length === 0) return own;
  while (own.length < poolSize) own.push(0);
  return [...own, ...spawnKey.flatMap((key) => toWords(BigInt(key)))];
}

function toWords(value: bigint): number[] {
  const words: number[] = [];
  let rest = value;
  do {
    words.push(Number(rest & 0xffffffffn));
    rest >>= 32n;
  } while (rest > 0n);
  return words;
}

function mixEntropy(entropy: readonly number[], poolSize: number): Uint32Array {
  const pool = new Uint32Array(poolSize);
  let hash = INIT_A;
  const hashed = (value: number): number => {
    let word = value ^ hash;
    hash = Math.imul(hash, MULTIPLY_A);
    word = Math.imul(word, hash);
    return word ^ (word >>> 16);
  };
  const mixInto = (at: number, value: number): void => {
    const mixed = Math.imul(MIX_LEFT, pool[at] ?? 0) - Math.imul(MIX_RIGHT, value);
    pool[at] = mixed ^ (mixed >>> 16);
  };
  for (let i = 0; i < poolSize; i++) pool[i] = hashed(entropy[i] ?? 0);
  for (let from = 0; from < poolSize; from++) {
    for (let to = 0; to < poolSize; to++) if (from !== to) mixInto(to, hashed(pool[from] ?? 0));
  }
  for (const word of entropy.slice(poolSize)) {
    for (let to = 0; to < poolSize; to++) mixInto(to, hashed(word));
  }
  return pool;
}
