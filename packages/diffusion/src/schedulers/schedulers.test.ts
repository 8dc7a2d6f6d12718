import { describe, expect, it } from "vitest";
import { createRandom } from "../random/create-random.ts";
import { ALIGN_YOUR_STEPS, alignYourSteps } from "./align-your-steps.ts";
import { evaluationRange, startIndexForStrength } from "./partial-run.ts";
import { createScheduler, listSchedulers, resolveSchedulerName } from "./registry.ts";
import type { Scheduler, SchedulerConfig, SchedulerState } from "./scheduler.ts";

const BASE: SchedulerConfig = {
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  num_train_timesteps: 1000,
  steps_offset: 1,
  timestep_spacing: "leading",
  clip_sample: false,
  skip_prk_steps: true,
};
const COUNT = 32;
const CLASSES = listSchedulers().map((listed) => listed.class);
const NAMES = listSchedulers().flatMap((listed) => listed.names);
/** LCM and TCD take no more steps than their networks were distilled on. */
const MOST_STEPS: Readonly<Record<string, number>> = { LCMScheduler: 50, TCDScheduler: 50 };

const TRAILING_48 = [
  999, 978, 957, 936, 916, 895, 874, 853, 832, 811, 791, 770, 749, 728, 707, 686, 666, 645, 624, 603, 582, 561, 541, 520, 499,
  478, 457, 436, 416, 395, 374, 353, 332, 311, 291, 270, 249, 228, 207, 186, 166, 145, 124, 103, 82, 61, 41, 20,
];

const invalid = (subject: string) => expect.objectContaining({ code: "invalid_request", subject });

function noise(seed: number): Float32Array {
  return Float32Array.from(createRandom("philox", seed).normal(COUNT));
}

/** Runs from a state on with a stand-in for the network, passing each state through JSON where asked to. */
function finish(scheduler: Scheduler, start: Float32Array, begin: SchedulerState, park: boolean): Float32Array {
  let [sample, state] = [start, begin];
  while (state.index < scheduler.timesteps.length) {
    const seed = state.index;
    const output = scheduler
      .scaleModelInput(sample, state)
      .map((value, i) => 0.6 * Math.tanh(value) + 0.3 * (noise(100 + seed)[i] ?? 0));
    const result = scheduler.step(output, sample, state, () => noise(1000 + seed));
    ({ sample, state } = result);
    if (park)
      state = revive(JSON.parse(JSON.stringify(state, (_, value) => (value instanceof Float32Array ? [...value] : value))));
  }
  return sample;
}

function revive(plain: { index: number; history: number[][]; numbers: Record<string, number> }): SchedulerState {
  return { ...plain, history: plain.history.map((values) => Float32Array.from(values)) };
}

describe.each(CLASSES)("%s", (name) => {
  it("runs with any number of steps and any spacing", () => {
    for (const spacing of ["leading", "trailing", "linspace"]) {
      for (let steps = 1; steps <= (MOST_STEPS[name] ?? 100); steps++) {
        const scheduler = createScheduler(name, { ...BASE, timestep_spacing: spacing }, { steps });
        const twice = name === "PNDMScheduler" && steps > 1 ? 1 : 0;
        expect(scheduler.timesteps.length).toBe(scheduler.order === 2 ? 2 * steps - 1 : steps + twice);
        expect(scheduler.timesteps.every(Number.isFinite)).toBe(true);
        expect(scheduler.initNoiseSigma).toBeGreaterThan(0);
        expect(
          scheduler.sigmas.every((sigma, i) => sigma >= 0 && sigma <= (scheduler.sigmas[i - 1] ?? Number.POSITIVE_INFINITY)),
        ).toBe(true);
        // DEIS predicts noise, which has no meaning where there is none: it ends just above zero.
        if (scheduler.sigmas.length > 0 && name !== "DEISMultistepScheduler") expect(scheduler.sigmas.at(-1)).toBe(0);
      }
    }
  });

  it("ends with the same numbers when it is parked after every evaluation, and starts again from anywhere", () => {
    for (const [steps, from] of [
      [7, 0],
      [20, 0],
      [20, 8],
    ] as const) {
      const scheduler = createScheduler(name, BASE, { steps });
      const begin = from * scheduler.order;
      const start =
        begin === 0 ? noise(1).map((value) => value * scheduler.initNoiseSigma) : scheduler.addNoise(noise(2), noise(1), begin);
      const whole = finish(scheduler, start, scheduler.begin(begin), false);
      expect(whole.every(Number.isFinite)).toBe(true);
      expect(finish(scheduler, start, scheduler.begin(begin), true)).toEqual(whole);
    }
  });

  it("does not change what it is given", () => {
    const scheduler = createScheduler(name, BASE, { steps: 5 });
    const start = noise(1);
    const copy = Float32Array.from(start);
    finish(scheduler, start, scheduler.begin(), false);
    expect(start).toEqual(copy);
  });

  it.each([0, -1, 1001, 2.5, Number.NaN, Number.POSITIVE_INFINITY])("refuses %s steps", (steps) => {
    expect(() => createScheduler(name, BASE, { steps })).toThrowError(invalid("steps"));
  });

  it("refuses timesteps that do not fall, or for which it has no use", () => {
    for (const timesteps of [[], [1, 2], [5, 5], [1000, 3], [9, -1], [Number.NaN]]) {
      expect(() => createScheduler(name, BASE, { steps: 2, timesteps })).toThrowError(invalid("timesteps"));
    }
  });

  it("refuses a prediction type that nobody knows", () => {
    expect(() => createScheduler(name, { ...BASE, prediction_type: "magic" }, { steps: 2 })).toThrowError(
      invalid("prediction_type"),
    );
  });

  it("refuses an evaluation beyond its end", () => {
    const scheduler = createScheduler(name, BASE, { steps: 3 });
    expect(() => scheduler.begin(scheduler.timesteps.length + 1)).toThrow(RangeError);
    expect(() => scheduler.step(noise(1), noise(2), scheduler.begin(scheduler.timesteps.length), () => noise(3))).toThrow(
      RangeError,
    );
  });
});

describe("a configuration", () => {
  it.each([
    ["EulerDiscreteScheduler", "timestep_spacing", "middling"],
    ["EulerDiscreteScheduler", "beta_schedule", "steep"],
    ["EulerDiscreteScheduler", "beta_start", -1],
    ["EulerDiscreteScheduler", "beta_end", Number.NaN],
    ["EulerDiscreteScheduler", "num_train_timesteps", 1e9],
    ["EulerDiscreteScheduler", "steps_offset", "one"],
    ["EulerDiscreteScheduler", "use_karras_sigmas", "yes"],
    ["EulerDiscreteScheduler", "final_sigmas_type", "one"],
    ["EulerDiscreteScheduler", "trained_betas", [0.1, 2]],
    ["DPMSolverMultistepScheduler", "solver_order", 4],
    ["DPMSolverMultistepScheduler", "algorithm_type", "euler"],
    ["DPMSolverMultistepScheduler", "solver_type", "euler"],
    ["UniPCMultistepScheduler", "solver_type", "bh3"],
    ["DDPMScheduler", "variance_type", "learned"],
    ["EDMEulerScheduler", "sigma_max", 0],
  ])("of %s with %s = %j is refused", (name, key, value) => {
    expect(() => createScheduler(name, { ...BASE, [key]: value }, { steps: 4 })).toThrowError(invalid(key));
  });

  it("may name one respacing of the levels alone", () => {
    const two = { ...BASE, use_karras_sigmas: true, use_beta_sigmas: true };
    expect(() => createScheduler("Euler", two, { steps: 4 })).toThrowError(invalid("use_karras_sigmas"));
    expect(() => createScheduler("Euler", { use_karras_sigmas: true }, { steps: 2, timesteps: [9, 3] })).toThrowError(
      invalid("use_karras_sigmas"),
    );
  });

  it("takes the class's own defaults for what another class had filled in, and null for absent", () => {
    const filled = { timestep_spacing: "leading", _use_default_values: ["timestep_spacing"], trained_betas: null };
    expect(createScheduler("Euler", filled, { steps: 4 }).timesteps).toEqual(
      createScheduler("Euler", {}, { steps: 4 }).timesteps,
    );
  });

  it.each([-0.1, 1.1, Number.NaN])("cannot have eta %s", (eta) => {
    for (const name of ["DDIM", "TCD"]) expect(() => createScheduler(name, BASE, { steps: 4, eta })).toThrowError(invalid("eta"));
  });
});

describe("trailing spacing", () => {
  it("rounds halves as numpy does", () => {
    // Made with diffusers' EulerDiscreteScheduler.
    const timesteps = createScheduler("Euler SGM Uniform", BASE, { steps: 48 }).timesteps;
    expect([...timesteps]).toEqual(TRAILING_48);
  });
});

describe("names", () => {
  it("all make runs", () => {
    for (const name of NAMES)
      expect(createScheduler(name, BASE, { steps: 12 }).timesteps.length, name).toBeGreaterThanOrEqual(12);
  });

  it.each([
    ["Euler a", "EulerAncestralDiscreteScheduler", {}],
    ["dpm++ 2m karras", "DPMSolverMultistepScheduler", { use_karras_sigmas: true, use_beta_sigmas: false }],
    ["DPM++ 2M SDE Karras", "DPMSolverMultistepScheduler", { algorithm_type: "sde-dpmsolver++", use_karras_sigmas: true }],
    ["Euler SGM Uniform", "EulerDiscreteScheduler", { timestep_spacing: "trailing" }],
    ["UniPCMultistepScheduler", "UniPCMultistepScheduler", {}],
  ])("%s is %s", (name, className, config) => {
    expect(resolveSchedulerName(name)).toMatchObject({ class: className, config });
  });

  it.each(["", "Euler b", "Euler a Karras", "LCM Karras", "__proto__", "constructor"])("%j is nobody's", (name) => {
    expect(resolveSchedulerName(name)).toBeUndefined();
    expect(() => createScheduler(name, BASE, { steps: 4 })).toThrowError(invalid("scheduler"));
  });

  it("stand for one algorithm each", () => {
    expect(new Set(NAMES.map((name) => name.toLowerCase())).size).toBe(NAMES.length);
  });
});

describe("Align Your Steps", () => {
  it("is the published list for ten steps", () => {
    expect([...createScheduler("Euler AYS", BASE, { steps: 10 }).timesteps]).toEqual([...ALIGN_YOUR_STEPS.sdxl]);
    expect([...createScheduler("DPM++ 2M AYS", BASE, { steps: 10, family: "sd15" }).timesteps]).toEqual([
      ...ALIGN_YOUR_STEPS.sd15,
    ]);
  });

  it("falls from the noisiest timestep for any number of steps", () => {
    for (const family of ["sdxl", "sd15"] as const) {
      for (const steps of [1, 2, 5, 11, 20, 50, 100, 999, 1000]) {
        const timesteps = alignYourSteps(family, steps);
        expect(timesteps.length).toBe(steps);
        expect(timesteps[0]).toBe(999);
        expect(timesteps.every((timestep, i) => timestep >= 0 && timestep < (timesteps[i - 1] ?? 1000))).toBe(true);
      }
    }
  });
});

describe("a part of a run", () => {
  it.each([
    ["Euler", 20, 0.35, 13],
    ["Euler", 20, 1, 0],
    ["Euler", 20, 0, 20],
    ["Heun", 8, 0.5, 8],
    ["Heun", 8, 0, 15],
    ["Euler", 30, 0.3, 21],
  ] as const)("of %s with %i steps and strength %f begins at %i", (name, steps, strength, begin) => {
    expect(startIndexForStrength(createScheduler(name, BASE, { steps }), steps, strength)).toBe(begin);
  });

  // Made with diffusers' StableDiffusionXLImg2ImgPipeline.get_timesteps and the cut of its __call__.
  it.each([
    ["Euler", 7, undefined, 0.8, 0, 5],
    ["Euler", 7, 0.8, undefined, 5, 7],
    ["Euler", 7, 0.35, 0.65, 2, 4],
    ["Euler", 7, undefined, 0.5005, 0, 3],
    ["Euler", 25, undefined, 0.8, 0, 20],
  ] as const)("of %s with %i steps from %f to %f is %i to %i", (name, steps, start, end, begin, last) => {
    expect(evaluationRange(createScheduler(name, BASE, { steps }), start, end)).toEqual({ begin, end: last });
  });

  it("joins where another ends, and begins with whole steps", () => {
    for (const name of ["Euler", "Heun", "DPM2", "DPM++ 2M Karras", "DDIM"]) {
      const scheduler = createScheduler(name, BASE, { steps: 25 });
      const refiner = evaluationRange(scheduler, 0.8);
      expect(refiner.begin % scheduler.order).toBe(0);
      expect(Math.abs(refiner.begin - evaluationRange(scheduler, 0, 0.8).end)).toBeLessThan(scheduler.order);
    }
  });

  it("refuses fractions out of range and a start behind the end", () => {
    const scheduler = createScheduler("Euler", BASE, { steps: 10 });
    for (const strength of [-0.1, 1.1, Number.NaN])
      expect(() => startIndexForStrength(scheduler, 10, strength)).toThrowError(invalid("strength"));
    expect(() => evaluationRange(scheduler, 0.5, 0.5)).toThrowError(invalid("denoising_start"));
    expect(() => evaluationRange(scheduler, 0, 1.5)).toThrowError(invalid("denoising_end"));
  });
});

describe("DPM++ SDE", () => {
  it("says between which levels its noise lies on one path", () => {
    const scheduler = createScheduler("DPM++ SDE", { ...BASE, noise_sampler_seed: 5 }, { steps: 6 });
    expect(scheduler.brownian).toEqual({ sigmaMin: scheduler.sigmas.at(-2), sigmaMax: scheduler.sigmas[0], seed: 5 });
    const asked: (number | undefined)[] = [];
    scheduler.step(noise(1), noise(2), scheduler.begin(), (from, to) => {
      asked.push(from, to);
      return noise(3);
    });
    expect(asked[0]).toBeCloseTo(scheduler.sigmas[0] ?? 0, 5);
    expect(asked[1]).toBeCloseTo(Math.sqrt((scheduler.sigmas[0] ?? 0) * (scheduler.sigmas[1] ?? 0)), 5);
  });
});
