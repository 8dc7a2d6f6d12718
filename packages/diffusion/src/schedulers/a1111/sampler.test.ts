import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { floats, readCase } from "../../testing/case-file.ts";
import { referencePath } from "../../testing/reference.ts";
import { resolveA1111Name } from "./names.ts";
import { A1111_MAX_STEPS, type A1111Run } from "./run.ts";
import { createA1111Sampler } from "./sampler.ts";

const folder = referencePath("cases/a1111");
const files = folder === undefined ? [] : readdirSync(folder).filter((name) => name.endsWith(".safetensors"));

describe.skipIf(files.length === 0)("the sigmas of the reference cases", () => {
  it.each(files)("%s", (name) => {
    const file = readCase(`${folder}/${name}`);
    const { sampler, schedule, steps, strength, draws, tolerance } = file.meta;
    const scheduler = createA1111Sampler({
      ...resolveA1111Name(String(sampler), String(schedule)),
      steps: Number(steps),
      ...(typeof strength === "number" ? { strength } : {}),
    });
    const expected = floats(file, "sigmas");
    const allowed = typeof tolerance === "object" && tolerance !== null && "sigmas" in tolerance ? Number(tolerance.sigmas) : 0;
    expect(scheduler.sigmas).toHaveLength(expected.length);
    expected.forEach((sigma, index) => {
      expect(Math.abs((scheduler.sigmas[index] ?? Number.NaN) - sigma)).toBeLessThanOrEqual(allowed);
    });
    expect(drawsOf(scheduler)).toBe(Number(draws));
  });
});

/** Runs with a network that answers 0 and counts the noise that is drawn. */
function drawsOf(scheduler: ReturnType<typeof createA1111Sampler>): number {
  let drawn = 0;
  const draw = (): Float32Array => {
    drawn++;
    return new Float32Array(4).fill(1);
  };
  let { sample, state } = scheduler.start(
    draw,
    scheduler.runSigmas.length < scheduler.sigmas.length ? new Float32Array(4) : undefined,
  );
  for (let evaluation = 0; evaluation < scheduler.timesteps.length; evaluation++) {
    ({ sample, state } = scheduler.step(new Float32Array(4), sample, state, draw));
  }
  return drawn;
}

const euler: A1111Run = { sampler: "Euler", schedule: "karras", steps: 6 };
const one = Float32Array.from([1, -2, 0.5]);
const noise = Float32Array.from([0.25, 1, -1]);

describe("a run's beginning", () => {
  it("is noise at the first sigma", () => {
    const scheduler = createA1111Sampler(euler);
    const { sample, state } = scheduler.start(() => noise);
    expect(scheduler.initNoiseSigma).toBe(scheduler.sigmas[0]);
    expect(sample).toEqual(noise.map((value) => value * scheduler.initNoiseSigma));
    expect(state.index).toBe(0);
  });

  it("is the noised picture where there is one, and the last int(strength * steps) + 1 sigmas remain", () => {
    const scheduler = createA1111Sampler({ ...euler, steps: 10, strength: 0.35 });
    expect(scheduler.runSigmas).toEqual(scheduler.sigmas.slice(6));
    expect(scheduler.timesteps).toHaveLength(4);
    const first = scheduler.runSigmas[0] ?? 0;
    const { sample } = scheduler.start(() => noise, one);
    expect(sample).toEqual(one.map((value, index) => value + first * (noise[index] ?? 0)));
    expect(scheduler.addNoise(one, noise, 0)).toEqual(sample);
  });

  it.each([
    [0, 1],
    [1, 10],
  ])("at strength %d leaves %d steps", (strength, steps) => {
    expect(createA1111Sampler({ ...euler, steps: 10, strength }).timesteps).toHaveLength(steps);
  });

  it.each([
    [8, 0.5, 16],
    [7, 0.35, 20],
    [5, 1, 5],
  ])("makes exactly %d steps at strength %d of a schedule of %d where that is asked for", (steps, strength, schedule) => {
    const scheduler = createA1111Sampler({ ...euler, steps, strength, exactSteps: true });
    expect(scheduler.sigmas).toHaveLength(schedule + 1);
    expect(scheduler.timesteps).toHaveLength(steps);
  });

  it("draws once more where the first step churns", () => {
    const scheduler = createA1111Sampler({ ...euler, options: { sChurn: 2 } });
    let drawn = 0;
    const { sample } = scheduler.start(() => {
      drawn++;
      return noise;
    });
    expect(drawn).toBe(2);
    expect(Math.abs(sample[1] ?? 0)).toBeGreaterThan(scheduler.initNoiseSigma);
  });

  it("cannot be in the middle of a step", () => {
    const scheduler = createA1111Sampler({ ...euler, sampler: "Heun" });
    expect(scheduler.begin(2).index).toBe(2);
    expect(() => scheduler.begin(1)).toThrow(RangeError);
  });
});

describe("a step", () => {
  it("changes neither its sample nor its state", () => {
    const scheduler = createA1111Sampler({ ...euler, sampler: "LMS" });
    const { sample, state } = scheduler.start(() => noise);
    const before = sample.slice();
    const first = scheduler.step(one, sample, state, () => noise);
    const again = scheduler.step(one, sample, state, () => noise);
    expect(sample).toEqual(before);
    expect(again).toEqual(first);
    expect(state).toEqual(scheduler.begin());
  });

  it("previews the denoised sample", () => {
    const scheduler = createA1111Sampler(euler);
    const { sample, state } = scheduler.start(() => noise);
    const sigma = scheduler.sigmas[0] ?? 0;
    const { predictedOriginal } = scheduler.step(one, sample, state, () => noise);
    expect(predictedOriginal?.[1]).toBeCloseTo((sample[1] ?? 0) + 2 * sigma, 5);
  });
});

describe("requests out of range", () => {
  it.each<[string, Partial<A1111Run>]>([
    ["steps", { steps: 0 }],
    ["steps", { steps: 2.5 }],
    ["steps", { steps: A1111_MAX_STEPS + 1 }],
    ["strength", { strength: -0.1 }],
    ["strength", { strength: Number.NaN }],
    ["strength", { strength: 0, exactSteps: true }],
    ["strength", { strength: 0.001, exactSteps: true }],
    ["eta", { options: { eta: -1 } }],
    ["rho", { options: { rho: Number.POSITIVE_INFINITY } }],
    ["betaAlpha", { options: { betaAlpha: 0 } }],
    ["sigmaMin", { options: { sigmaMin: 3, sigmaMax: 2 } }],
    ["steps", { sampler: "UniPC", steps: 2 }],
  ])("name %s: %j", (subject, change) => {
    expect(() => createA1111Sampler({ ...euler, ...change })).toThrow(
      expect.objectContaining({ code: "invalid_request", subject }),
    );
  });

  it("does not take the largest number of steps for one of them", () => {
    for (const sampler of ["Euler", "DDIM", "Restart"] as const) {
      expect(createA1111Sampler({ ...euler, sampler, steps: A1111_MAX_STEPS }).timesteps.length).toBeGreaterThan(900);
    }
  });
});

describe("a run that keeps a picture outside a mask", () => {
  const clean = Float32Array.from([0.5, -0.25, 1, 2]);
  const start = Float32Array.from([3, -1, 2, 0.5]);
  /** A network that answers with a part of what it sees, and a run from the same start with the same draws. */
  function runOf(sampler: string, mask: Float32Array | undefined): Float32Array {
    const plain = createA1111Sampler({ ...resolveA1111Name(sampler, "karras"), steps: 8, strength: 0.9 });
    const scheduler = mask ? plain.keeping(clean, mask) : plain;
    let draws = 0;
    const draw = () => clean.map((_, i) => Math.sin(7 * i + draws++));
    let { sample, state } = scheduler.start(() => start, clean);
    for (let i = 0; i < scheduler.timesteps.length; i++) {
      const seen = scheduler.scaleModelInput(sample, state);
      ({ sample, state } = scheduler.step(
        seen.map((value) => 0.6 * value),
        sample,
        state,
        draw,
      ));
    }
    return sample;
  }

  it.each(["Euler", "Euler a", "DPM++ 2M", "Heun", "DPM2 a", "DDIM"])("is %s's own where all is painted anew", (sampler) => {
    expect(runOf(sampler, new Float32Array(2).fill(1))).toEqual(runOf(sampler, undefined));
  });

  it.each(["Euler", "Euler a", "DPM++ 2M", "Heun", "DPM2 a"])("ends at the picture with %s where nothing is", (sampler) => {
    for (const [i, value] of runOf(sampler, new Float32Array(2)).entries()) expect(value).toBeCloseTo(clean[i] ?? 0, 5);
  });

  it("leaves what is painted as it is, where no network looks beyond it", () => {
    const half = runOf("Euler a", Float32Array.of(1, 0));
    const whole = runOf("Euler a", undefined);
    expect([half[0], half[2]]).toEqual([whole[0], whole[2]]);
  });

  it("shows the network the clean picture with DDIM, as there", () => {
    const scheduler = createA1111Sampler({ ...resolveA1111Name("DDIM"), steps: 8, strength: 0.9 });
    const seen = scheduler.keeping(clean, Float32Array.of(1, 0)).scaleModelInput(start, scheduler.begin());
    expect(seen).toEqual(Float32Array.from([3, -0.25, 2, 2]));
  });
});
