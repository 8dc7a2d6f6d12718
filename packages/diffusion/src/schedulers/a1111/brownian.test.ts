import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { brownianNoise } from "../../random/brownian-tree.ts";

/** What k-diffusion's `BrownianTreeNoiseSampler` over torchsde 0.2.6 draws when its generator is Philox, as AUTOMATIC1111 makes it. */
interface Expected {
  readonly seed: string;
  readonly sigmaMin: number;
  readonly sigmaMax: number;
  readonly draws: readonly { readonly from: number; readonly to: number; readonly noise: readonly number[] }[];
}

const paths: readonly Expected[] = JSON.parse(readFileSync(new URL("./brownian.expected.json", import.meta.url), "utf8"));

describe("the Brownian path of AUTOMATIC1111's stochastic samplers", () => {
  it.each(paths.map((path) => [path.seed, path] as const))("is torchsde's with Philox numbers (seed %s)", (_, path) => {
    const { seed, sigmaMin, sigmaMax } = path;
    const draw = brownianNoise({ seed: BigInt(seed), sigmaMin, sigmaMax, count: 8, kind: "philox" });
    for (const { from, to, noise } of path.draws) {
      const drawn = draw(from, to);
      noise.forEach((expected, index) => {
        expect(Math.abs((drawn[index] ?? Number.NaN) - expected)).toBeLessThan(1e-4);
      });
    }
  });
});
