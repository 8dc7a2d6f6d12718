import { KilnError } from "../errors.ts";
import { createRandom } from "./create-random.ts";
import type { RandomKind } from "./random.ts";
import { seedSequence } from "./seed-sequence.ts";

/** Times are rounded to this many decimals, which bounds the depth of the tree (torchsde's `tol=1e-6`). */
const DECIMALS = 6;
/** Words of the entropy pool from which each node's seed is hashed. */
const POOL_SIZE = 24;
/** Increments kept in memory; those that fell out are computed again. One is as large as a latent. */
const CACHED_NODES = 45;

export interface BrownianNoise {
  /** 0 to 2^64 - 1. */
  readonly seed: bigint;
  /** The noise levels between which the path runs: the smallest above zero, and the largest. */
  readonly sigmaMin: number;
  readonly sigmaMax: number;
  /** Numbers in one draw. */
  readonly count: number;
  /** Whose numbers the tree is filled with: torch's CPU generator where absent, Philox for AUTOMATIC1111's pictures. */
  readonly kind?: RandomKind;
}

/**
 * Standard normal noise that belongs to one Brownian path: `draw(from, to)` is the path's increment between two
 * noise levels over the square root of their distance, with a minus sign where the level falls. It is a pure function
 * of the seed and the interval, whatever was asked before, so a run that goes on elsewhere needs no state.
 *
 * The path is a virtual Brownian tree over halved intervals (Li et al. 2020, arXiv 2001.01328, section 4), with the
 * numbers that `torchsde.BrownianInterval(entropy=seed, tol=1e-6, pool_size=24, halfway_tree=True)` gives; diffusers'
 * and k-diffusion's `BrownianTreeNoiseSampler` are built on it.
 * @throws KilnError `invalid_request` at the first draw where the interval is empty
 */
export function brownianNoise(options: BrownianNoise): (from?: number, to?: number) => Float32Array {
  const { sigmaMin, sigmaMax } = options;
  let tree: BrownianTree | undefined;
  return (from = sigmaMax, to = sigmaMin) => {
    tree ??= new BrownianTree(options);
    const increment = tree.increment(Math.min(from, to), Math.max(from, to));
    const sign = from < to ? 1 : -1;
    const root = Math.fround(Math.sqrt(Math.fround(Math.abs(to - from))));
    return increment.map((value) => (sign * value) / root);
  };
}

interface Node {
  readonly start: number;
  readonly end: number;
  /** Position among the nodes of its depth, from the left. */
  readonly position: number;
  readonly depth: number;
  readonly parent: Node | undefined;
}

class BrownianTree {
  readonly #options: BrownianNoise;
  readonly #root: Node;
  readonly #whole: Float32Array;
  readonly #cache = new Map<string, Float32Array>();

  constructor(options: BrownianNoise) {
    const { sigmaMin, sigmaMax, seed } = options;
    if (!(sigmaMin >= 0 && sigmaMin < sigmaMax && sigmaMax < Number.POSITIVE_INFINITY)) {
      const message = `A Brownian path needs two different noise levels, not ${sigmaMin} and ${sigmaMax}; ask for more steps.`;
      throw new KilnError("invalid_request", message, { subject: "steps" });
    }
    this.#options = options;
    this.#root = { start: roundTime(sigmaMin), end: roundTime(sigmaMax), position: 0, depth: 0, parent: undefined };
    const scale = Math.fround(Math.sqrt(sigmaMax - sigmaMin));
    this.#whole = this.#normal(seedSequence(seed, [], POOL_SIZE, 1)).map((value) => value * scale);
  }

  increment(from: number, to: number): Float32Array {
    const start = roundTime(clamp(from, this.#root.start, this.#root.end));
    const end = roundTime(clamp(to, this.#root.start, this.#root.end));
    const sum = new Float32Array(this.#options.count);
    if (start < end) this.#add(this.#root, start, end, sum);
    return sum;
  }

  /** Adds up the largest nodes that fill the interval, from left to right. */
  #add(node: Node, start: number, end: number, sum: Float32Array): void {
    if (start === node.start && end === node.end) {
      const own = this.#incrementOf(node);
      for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (own[i] ?? 0);
      return;
    }
    const [left, right] = halves(node);
    if (start < left.end) this.#add(left, start, Math.min(end, left.end), sum);
    if (end > left.end) this.#add(right, Math.max(start, left.end), end, sum);
  }

  /** A Brownian bridge: the left half given the whole, and the right half as the rest. */
  #incrementOf(node: Node): Float32Array {
    const { parent } = node;
    if (parent === undefined) return this.#whole;
    const key = `${node.depth}:${node.position}`;
    const known = this.#cache.get(key);
    if (known !== undefined) return known;
    const whole = this.#incrementOf(parent);
    const middle = node.position % 2 === 0 ? node.end : node.start;
    const before = middle - parent.start;
    const after = parent.end - middle;
    const inverse = 1 / (parent.end - parent.start);
    const deviation = Math.fround(Math.sqrt(before * after * inverse));
    const [share, scale] = [Math.fround(before), Math.fround(inverse)];
    const noise = this.#normal(seedSequence(this.#options.seed, [parent.position, parent.depth], POOL_SIZE, 1));
    const left = new Float32Array(whole.length);
    const right = new Float32Array(whole.length);
    for (let i = 0; i < whole.length; i++) {
      const mean = Math.fround(Math.fround(share * (whole[i] ?? 0)) * scale);
      left[i] = mean + Math.fround(deviation * (noise[i] ?? 0));
      right[i] = (whole[i] ?? 0) - (left[i] ?? 0);
    }
    const even = node.position - (node.position % 2);
    this.#remember(`${node.depth}:${even}`, left);
    this.#remember(`${node.depth}:${even + 1}`, right);
    return node.position === even ? left : right;
  }

  #remember(key: string, value: Float32Array): void {
    this.#cache.set(key, value);
    const [oldest] = this.#cache.keys();
    if (this.#cache.size > CACHED_NODES && oldest !== undefined) this.#cache.delete(oldest);
  }

  #normal([seed = 0]: Uint32Array): Float32Array {
    const drawn = createRandom(this.#options.kind ?? "torch-cpu", BigInt(seed)).normal(this.#options.count);
    return drawn instanceof Float32Array ? drawn : Float32Array.from(drawn);
  }
}

function halves(node: Node): [Node, Node] {
  const middle = roundTime(0.5 * (node.end + node.start));
  const depth = node.depth + 1;
  const left = { start: node.start, end: middle, position: 2 * node.position, depth, parent: node };
  return [left, { start: middle, end: node.end, position: 2 * node.position + 1, depth, parent: node }];
}

/** The nearest number of six decimals; exact ties go to the even one, as Python rounds. */
function roundTime(time: number): number {
  // A tie at six decimals is an odd multiple of 2^-7, because 10^6 is 2^6 times an odd number.
  const sevenths = time * 128;
  if (Number.isInteger(sevenths) && sevenths % 2 !== 0) {
    const below = Math.floor(time * 1e6);
    return (below % 2 === 0 ? below : below + 1) / 1e6;
  }
  return Number(time.toFixed(DECIMALS));
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
