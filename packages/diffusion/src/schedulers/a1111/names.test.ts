import { describe, expect, it } from "vitest";
import { KilnError } from "../../errors.ts";
import { A1111_SAMPLERS, A1111_SCHEDULES, a1111SamplerOptions, isA1111Sampler, resolveA1111Name, scheduleFor } from "./names.ts";
import { createA1111Sampler } from "./sampler.ts";

describe("resolveA1111Name", () => {
  it.each([
    ["Euler a", undefined, "Euler a", "automatic"],
    ["euler A", "", "Euler a", "automatic"],
    ["k_euler_a", "Karras", "Euler a", "karras"],
    ["euler_ancestral", undefined, "Euler a", "automatic"],
    ["sample_euler_ancestral", undefined, "Euler a", "automatic"],
    ["sample_dpmpp_2s_ancestral", undefined, "DPM++ 2S a", "automatic"],
    ["k_dpm_2_ancestral", undefined, "DPM2 a", "automatic"],
    ["DPM++ 2M Karras", undefined, "DPM++ 2M", "karras"],
    ["dpm++ 2m karras", "Uniform", "DPM++ 2M", "karras"],
    ["k_dpmpp_2m_ka", undefined, "DPM++ 2M", "karras"],
    ["DPM++ 2M SDE Heun Exponential", undefined, "DPM++ 2M SDE Heun", "exponential"],
    ["DPM++ 2M SDE", "sgm_uniform", "DPM++ 2M SDE", "sgm_uniform"],
    ["Euler SGMUniform", undefined, "Euler", "sgm_uniform"],
    ["Euler Align Your Steps", undefined, "Euler", "align_your_steps"],
    ["Euler DDIM", undefined, "Euler", "ddim"],
    ["DDIM", undefined, "DDIM", "automatic"],
    [" UniPC ", "align your steps", "UniPC", "align_your_steps"],
    ["dpmpp_3m_sde", "KL Optimal", "DPM++ 3M SDE", "kl_optimal"],
  ])("reads %s with %s", (sampler, schedule, expectedSampler, expectedSchedule) => {
    expect(resolveA1111Name(sampler, schedule)).toEqual({ sampler: expectedSampler, schedule: expectedSchedule });
  });

  it.each([
    ["Euler z", undefined, /"Euler z" is not known; use one of DPM\+\+ 2M/],
    ["", undefined, /is not known/],
    [" Karras", undefined, /is not known/],
    ["DPM adaptive", undefined, /is not built/],
    ["k_dpm_ad", undefined, /is not built/],
    ["Euler", "wavy", /The schedule "wavy" is not known; use one of Automatic/],
    ["x".repeat(100_000), undefined, /^.{0,400}$/s],
  ])("refuses %s with %s", (sampler, schedule, message) => {
    let caught: unknown;
    try {
      resolveA1111Name(sampler, schedule);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(KilnError);
    expect(caught).toMatchObject({ code: "invalid_request", message: expect.stringMatching(message) });
  });

  it("finds every listed name and alias, and no two entries share one", () => {
    const names = A1111_SAMPLERS.flatMap(({ name, aliases }) => [...new Set([name.toLowerCase(), ...aliases])]);
    expect(new Set(names).size).toBe(names.length);
    for (const { name, aliases } of A1111_SAMPLERS) {
      for (const each of [name, ...aliases]) expect(resolveA1111Name(each).sampler).toBe(name);
    }
    for (const { name, label, aliases } of A1111_SCHEDULES) {
      for (const each of [name, label, ...aliases]) expect(resolveA1111Name("Euler", each).schedule).toBe(name);
    }
  });

  it("tells which names are its own", () => {
    expect(isA1111Sampler("DPM++ 2M Karras")).toBe(true);
    expect(isA1111Sampler("EulerDiscreteScheduler")).toBe(false);
  });
});

describe("Automatic", () => {
  it.each([
    ["DPM++ 2M", "karras"],
    ["DPM++ 2M SDE", "exponential"],
    ["DPM++ 3M SDE", "exponential"],
    ["DPM2 a", "karras"],
    ["Euler a", "uniform"],
    ["Heun", "uniform"],
    ["Restart", "karras"],
  ] as const)("is for %s the schedule %s", (sampler, schedule) => {
    expect(scheduleFor({ sampler, schedule: "automatic" })).toBe(schedule);
    const sigmas = (name: "automatic" | typeof schedule) => createA1111Sampler({ sampler, schedule: name, steps: 5 }).sigmas;
    expect(sigmas("automatic")).toEqual(sigmas(schedule));
  });
});

describe("the lists", () => {
  it("hold only what can be run, each sampler with each schedule", () => {
    for (const { name: sampler } of A1111_SAMPLERS) {
      for (const { name: schedule } of A1111_SCHEDULES) {
        const { timesteps } = createA1111Sampler({ sampler, schedule, steps: 4 });
        expect(timesteps.length).toBeGreaterThan(0);
        expect(timesteps.every((timestep) => timestep >= 0 && timestep <= 999)).toBe(true);
      }
    }
  });
});

describe("a1111SamplerOptions", () => {
  it("speaks as the API does", () => {
    expect(a1111SamplerOptions("Euler")).toEqual({});
    expect(a1111SamplerOptions("DPM2 a")).toEqual({
      scheduler: "karras",
      discard_next_to_last_sigma: "True",
      second_order: "True",
      uses_ensd: "True",
    });
    expect(a1111SamplerOptions("DPM++ 2M SDE Heun")).toEqual({
      scheduler: "exponential",
      brownian_noise: "True",
      solver_type: "heun",
    });
  });
});
