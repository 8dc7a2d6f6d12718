import { describe, expect, test } from "vitest";
import { createRandom } from "../random/create-random.ts";
import { slerp } from "../random/slerp.ts";
import { firstNoise } from "./first-noise.ts";
import { pictureSeeds } from "./picture-seeds.ts";

/** The numbers are torch's, by AUTOMATIC1111's formulas. */
function close(found: Float32Array, expected: readonly number[]): void {
  expect(found).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) expect(found[i]).toBeCloseTo(value, 5);
}

function drawn(channels: number, height: number, width: number): Float32Array {
  return Float32Array.from(createRandom("torch-cpu", 7).normal(channels * height * width));
}

const VARIED = { seed: 7n, variation: { seed: 9n, strength: 0.3 } };

describe("the first noise of a picture", () => {
  test("is mixed with the variation seed's column by column", () => {
    const shape = { channels: 2, height: 3, width: 4 };
    const found = firstNoise(drawn(2, 3, 4), VARIED, { kind: "torch-cpu", shape, resizeFrom: undefined });
    close(
      found,
      [
        -1.233599, 0.006796, 0.959233, -1.714495, 0.518851, 0.610495, -0.683064, -1.656797, -0.377615, -1.111512, -0.157934,
        0.537831, -0.953512, -0.527873, -0.895812, -0.333695, -0.881013, -0.733269, -2.566465, 0.189628, 1.715472, 0.120653,
        0.647802, 1.525092,
      ],
    );
  });

  test("is itself where seed and variation seed are one", () => {
    const shape = { channels: 1, height: 4, width: 4 };
    const same = { seed: 7n, variation: { seed: 7n, strength: 0.3 } };
    const noise = drawn(1, 4, 4);
    close(firstNoise(noise, same, { kind: "torch-cpu", shape, resizeFrom: undefined }), [...noise]);
  });

  test("has a smaller picture's noise in its middle", () => {
    const shape = { channels: 1, height: 5, width: 6 };
    const found = firstNoise(drawn(1, 5, 6), VARIED, { kind: "torch-cpu", shape, resizeFrom: { height: 3, width: 4 } });
    close(
      found,
      [
        -0.820135, 0.395631, 0.898908, -1.388404, -0.166996, 0.28515, -0.641092, -0.090713, 1.690295, 1.037772, -0.853563,
        -0.460157, 0.708539, 1.611999, -0.658969, -0.148585, 1.264886, -0.023478, 0.174375, 0.329609, -1.043722, -0.214978,
        -0.01773, 1.405853, -1.401251, 1.297336, 1.640933, -1.056684, -0.261587, -0.250133,
      ],
    );
  });

  test("has the middle of a larger picture's", () => {
    const shape = { channels: 1, height: 4, width: 4 };
    const found = firstNoise(drawn(1, 4, 4), VARIED, { kind: "torch-cpu", shape, resizeFrom: { height: 7, width: 5 } });
    close(
      found,
      [
        -0.602694, 1.066911, 1.471363, -1.388404, -1.603492, 0.030669, 1.725974, -0.893655, -0.563307, -0.459334, -0.233407,
        -0.460157, 0.708539, 1.012755, 0.230397, 1.090165,
      ],
    );
  });
});

test("nearly parallel noise is mixed in a straight line, the other way round", () => {
  const low = drawn(1, 4, 4);
  const high = low.map((value) => value * 1.01 + 0.001);
  const found = slerp(0.25, low, high, { channels: 1, height: 4, width: 4 });
  close(found.subarray(0, 4), [-0.825536, 0.399348, 0.9064, -1.398067]);
});

describe("the seeds of several pictures", () => {
  test("follow one another, and end where 64 bits do", () => {
    expect(pictureSeeds({ prompt: "", seed: 2n ** 64n - 1n }, 2).map(({ seed }) => seed)).toEqual([2n ** 64n - 1n, 0n]);
  });

  test("stay with a variation, whose own seeds follow one another", () => {
    expect(pictureSeeds({ prompt: "", seed: 5, variation: { seed: 8, strength: 0.5 } }, 2)).toEqual([
      { seed: 5n, variation: { seed: 8n, strength: 0.5 } },
      { seed: 5n, variation: { seed: 9n, strength: 0.5 } },
    ]);
    expect(pictureSeeds({ prompt: "", seed: 5, variation: { seed: 8, strength: 0 } }, 2)[1]).toEqual({
      seed: 6n,
      variation: undefined,
    });
  });

  test("are refused beyond 64 bits, by name", () => {
    expect(() => pictureSeeds({ prompt: "", variation: { seed: -1, strength: 1 } }, 1)).toThrow(/variation\.seed/);
  });
});
