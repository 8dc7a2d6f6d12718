import type { CompleteRequest } from "./request.ts";

/** The seed of a request's picture: the seeds follow one another, unless a variation's do. */
export function seedOfPicture({ seed, variation }: Pick<CompleteRequest, "seed" | "variation">, index: number): string {
  return isVaried(variation) ? seed : follow(seed, index);
}

/** The variation seed of a request's picture; undefined where nothing is mixed in. */
export function variationSeedOfPicture({ variation }: Pick<CompleteRequest, "variation">, index: number): string | undefined {
  return isVaried(variation) ? follow(variation.seed, index) : undefined;
}

function isVaried(variation: CompleteRequest["variation"]): variation is NonNullable<CompleteRequest["variation"]> {
  return variation !== undefined && variation.strength > 0;
}

/** The seed that lies so many pictures after another; seeds have 64 bits, and begin again at 0. */
export function follow(seed: string, index: number): string {
  return String(BigInt.asUintN(64, BigInt(seed) + BigInt(index)));
}
