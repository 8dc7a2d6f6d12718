import { KilnError } from "../errors.ts";
import { MAX_SEED } from "../random/create-random.ts";
import type { GenerateRequest } from "./request.ts";

/** What the noise of one picture of a request grows from. */
export interface PictureSeed {
  readonly seed: bigint;
  readonly variation: { readonly seed: bigint; readonly strength: number } | undefined;
}

/**
 * The seeds of `count` pictures: `seed`, `seed + 1`, ... With a variation the seed stays, and the variation's seeds follow
 * one another, as in AUTOMATIC1111.
 * @throws KilnError invalid_request for seeds out of range
 */
export function pictureSeeds({ seed, variation }: GenerateRequest, count: number): PictureSeed[] {
  const first = checkSeed("seed", seed);
  if (!variation || variation.strength === 0)
    return Array.from({ length: count }, (_, i) => ({ seed: follow(first, i), variation: undefined }));
  const firstVariation = checkSeed("variation.seed", variation.seed);
  const { strength } = variation;
  return Array.from({ length: count }, (_, i) => ({ seed: first, variation: { seed: follow(firstVariation, i), strength } }));
}

function checkSeed(name: string, seed: number | bigint | undefined): bigint {
  if (typeof seed === "number" && !Number.isSafeInteger(seed))
    throw invalid(name, `${name} must be a whole number; beyond 2^53 give it as a bigint.`);
  const checked = seed === undefined ? BigInt(Math.floor(Math.random() * 2 ** 32)) : BigInt(seed);
  if (checked < 0n || checked > MAX_SEED) throw invalid(name, `${name} must be from 0 to 2^64 - 1.`);
  return checked;
}

/** The seed of the draws after the first. */
export function laterSeed({ seed }: PictureSeed, { noiseSeedDelta = 0 }: GenerateRequest): bigint {
  return follow(seed, noiseSeedDelta);
}

function follow(seed: bigint, distance: number): bigint {
  return BigInt.asUintN(64, seed + BigInt(distance));
}

function invalid(subject: string, message: string): KilnError {
  return new KilnError("invalid_request", message, { subject });
}
