import { describe, expect, it } from "vitest";
import { brownianNoise } from "./brownian-tree.ts";
import { seedSequence } from "./seed-sequence.ts";

/** Made with diffusers' `BrownianTreeNoiseSampler` (torchsde 0.2.6) on zeros of `count` numbers. */
const PATHS = [
  {
    seed: "7",
    count: 20,
    min: 0.0292,
    max: 14.6146,
    from: 14.6146,
    to: 9.1,
    expected: [
      -0.33388707, 0.492211521, 1.75439715, -1.24832153, -0.398819208, 0.909454882, -2.20671415, 0.102430545, -0.908555925,
      1.92437756, -0.591235757, -0.501273036, 0.888511002, 0.262565166, -0.905206561, -0.368833989, -1.31713998, -0.883986235,
      -1.56488979, -1.20699441,
    ],
  },
  {
    seed: "7",
    count: 20,
    min: 0.0292,
    max: 14.6146,
    from: 9.1,
    to: 5.5,
    expected: [
      0.843499243, -0.679205954, -1.11631525, -1.13870442, 2.02423406, 1.54309726, -0.978086531, -0.454018146, 1.38174152,
      0.485040456, -1.17073214, -1.5022403, 0.225121483, -1.02482831, -2.89071822, 0.31189996, 0.642730772, 1.30255771,
      -0.799361944, -1.37197924,
    ],
  },
  {
    seed: "7",
    count: 20,
    min: 0.0292,
    max: 14.6146,
    from: 5.5,
    to: 0.3,
    expected: [
      -0.654605687, 0.904364407, 0.271439791, -0.836214721, 0.691791475, -1.48894823, -0.435684562, -0.635699511, 0.948000133,
      0.0115641188, 0.588584423, 0.894886017, 2.19330788, -1.09595215, 0.315577447, -0.188640699, -0.973948002, -0.138380602,
      0.405795068, 0.912932456,
    ],
  },
  {
    seed: "7",
    count: 20,
    min: 0.0292,
    max: 14.6146,
    from: 0.3,
    to: 0.0292,
    expected: [
      -0.0591812991, 0.396210432, 0.21016179, 0.98044008, 0.103896454, 0.609986007, -0.0123886894, 0.524203956, 0.0779584274,
      1.11359012, 0.427949488, -0.0591111183, 1.35124958, 0.0634409785, -1.31872284, 0.217953965, 1.57377028, 0.950861394,
      -0.0239571221, 1.10637414,
    ],
  },
  {
    seed: "123456789012345",
    count: 5,
    min: 0.03,
    max: 4096.0,
    from: 4096.0,
    to: 100.5,
    expected: [1.03495765, 1.56426609, 0.67660743, 0.378908068, -0.61951226],
  },
  {
    seed: "123456789012345",
    count: 5,
    min: 0.03,
    max: 4096.0,
    from: 100.5,
    to: 1.0,
    expected: [0.305358857, -2.56177998, 0.898126066, 0.211049572, 0.846469879],
  },
  {
    seed: "123456789012345",
    count: 5,
    min: 0.03,
    max: 4096.0,
    from: 1.0,
    to: 0.03,
    expected: [0.627790391, 1.45705652, -0.654789448, -0.943607748, 0.784982145],
  },
  {
    seed: "0",
    count: 17,
    min: 0.5,
    max: 2.0,
    from: 1.0,
    to: 0.5,
    expected: [
      -0.774618685, -1.01021183, 0.135448471, -0.504347503, -0.0395568982, -0.103411667, -0.0775388256, 0.0381376743, -1.13896477,
      -0.896594584, -1.54834354, -0.982792556, 0.870017409, -1.99290943, 0.605371296, 0.704676747, 1.01754677,
    ],
  },
  {
    seed: "0",
    count: 17,
    min: 0.5,
    max: 2.0,
    from: 2.0,
    to: 1.0,
    expected: [
      0.218223289, -0.780338585, 0.42593649, 0.310527027, 0.338928521, 0.259655416, 1.17170465, 0.569257796, -0.697756529,
      1.91878784, 0.0269516706, -0.105008245, 1.31835532, -0.424065948, -0.765180826, 1.03338408, -1.4076519,
    ],
  },
  {
    seed: "0",
    count: 17,
    min: 0.5,
    max: 2.0,
    from: 0.5,
    to: 2.0,
    expected: [
      0.269047707, 1.22038984, -0.425976872, 0.037640918, -0.253895819, -0.15230301, -0.911925793, -0.48681578, 1.22729731,
      -1.0490346, 0.871930778, 0.653154373, -1.57873738, 1.49685514, 0.275256276, -1.25059986, 0.561862171,
    ],
  },
];

/** Made with `numpy.random.SeedSequence(entropy, spawn_key=..., pool_size=24).generate_state(4)`. */
const SEQUENCES: readonly (readonly [string, readonly number[], readonly number[]])[] = [
  ["0", [], [4025752534, 2687548107, 2326983537, 1576567101]],
  ["7", [], [1376543887, 623213690, 436845524, 1186459840]],
  ["18446744073709551615", [5, 3], [206752380, 1890374860, 654320852, 1710134239]],
  ["123456789012345", [8589934593, 34], [1015734853, 1860704906, 3853760061, 766349212]],
];

describe("the seed sequence", () => {
  it.each(SEQUENCES)("of %s and %j is numpy's", (entropy, spawnKey, expected) => {
    expect([...seedSequence(BigInt(entropy), spawnKey, 24, 4)]).toEqual(expected);
  });
});

describe("the Brownian tree", () => {
  it.each(PATHS)("with seed $seed from $from to $to is torchsde's", ({ seed, count, min, max, from, to, expected }) => {
    const draw = brownianNoise({ seed: BigInt(seed), sigmaMin: min, sigmaMax: max, count });
    const drawn = draw(Math.fround(from), Math.fround(to));
    for (const [i, value] of expected.entries()) expect(Math.abs((drawn[i] ?? Number.NaN) - value)).toBeLessThan(5e-6);
  });

  it("does not depend on what was asked before", () => {
    const options = { seed: 5n, sigmaMin: 0.03, sigmaMax: 14.6, count: 8 };
    const later = brownianNoise(options);
    for (let level = 14; level > 1; level -= 0.37) later(level, level - 0.37);
    expect(later(3, 2)).toEqual(brownianNoise(options)(3, 2));
  });

  it("adds up: a path's increments over parts make the whole", () => {
    const draw = brownianNoise({ seed: 5n, sigmaMin: 0.5, sigmaMax: 4, count: 4 });
    const increment = (from: number, to: number) => draw(from, to).map((value) => value * Math.sqrt(Math.abs(to - from)));
    const [whole, first, second] = [increment(3.3, 0.9), increment(3.3, 1.7), increment(1.7, 0.9)];
    for (const [i, value] of whole.entries()) expect(value).toBeCloseTo((first[i] ?? 0) + (second[i] ?? 0), 5);
  });

  it("refuses an empty interval", () => {
    expect(() => brownianNoise({ seed: 1n, sigmaMin: 2, sigmaMax: 2, count: 4 })()).toThrowError(
      expect.objectContaining({ code: "invalid_request" }),
    );
  });
});
