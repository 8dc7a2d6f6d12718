import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { SchedulerState } from "../scheduler.ts";
import type { A1111Run } from "./run.ts";
import { createA1111Sampler } from "./sampler.ts";

/**
 * Runs over a made-up network of six numbers; `final` and `between` were computed by k-diffusion 0.1.1's own samplers (and by
 * AUTOMATIC1111's formulas for those that are its own) with the same network and noise.
 */
interface Expected {
  readonly run: A1111Run;
  readonly sigmas?: readonly number[];
  readonly final?: readonly number[];
  /** The noise levels between which each Brownian draw was asked for. */
  readonly between?: readonly (readonly number[])[];
}

const cases: readonly Expected[] = JSON.parse(readFileSync(new URL("./k-diffusion.expected.json", import.meta.url), "utf8"));
const SIZE = 6;
const clean = Float32Array.from({ length: SIZE }, (_, index) => 0.4 * Math.cos(3.7 * (index + 1)));

const network = (input: Float32Array, timestep: number): Float32Array =>
  input.map((value, index) => 0.8 * Math.sin(1.3 * value + timestep / 250 + index) + 0.1 * value);

function sampleRun(run: A1111Run, between: number[][] = []): Float32Array {
  const scheduler = createA1111Sampler(run);
  let drawn = 0;
  const draw = (from?: number, to?: number): Float32Array => {
    if (from !== undefined && to !== undefined) between.push([from, to]);
    const first = SIZE * drawn++;
    return Float32Array.from({ length: SIZE }, (_, index) => 1.5 * Math.sin(12.9898 * (first + index + 1)));
  };
  let { sample, state } = scheduler.start(draw, run.strength === undefined ? undefined : clean);
  for (const timestep of scheduler.timesteps) {
    const output = network(scheduler.scaleModelInput(sample, state), timestep);
    const stepped = scheduler.step(output, sample, state, draw);
    sample = stepped.sample;
    // A run must survive being written out and read back at every evaluation.
    state = readBack(stepped.state);
  }
  return sample;
}

function readBack(state: SchedulerState): SchedulerState {
  const plain: { index: number; history: number[][]; numbers: Record<string, number> } = JSON.parse(
    JSON.stringify({ ...state, history: state.history.map((values) => [...values]) }),
  );
  return { ...plain, history: plain.history.map((values) => Float32Array.from(values)) };
}

const label = ({ run }: Expected): string => JSON.stringify(run);

describe("schedules as k-diffusion and AUTOMATIC1111 compute them", () => {
  it.each(cases.filter(({ sigmas }) => sigmas !== undefined).map((entry) => [label(entry), entry] as const))("%s", (_, entry) => {
    const { sigmas } = createA1111Sampler(entry.run);
    expect(sigmas).toHaveLength(entry.sigmas?.length ?? 0);
    entry.sigmas?.forEach((expected, index) => {
      expect(Math.abs((sigmas[index] ?? Number.NaN) - expected)).toBeLessThanOrEqual(2e-5 * Math.max(Math.abs(expected), 0.1));
    });
  });
});

describe("samplers as k-diffusion and AUTOMATIC1111 compute them", () => {
  it.each(cases.filter(({ final }) => final !== undefined).map((entry) => [label(entry), entry] as const))("%s", (_, entry) => {
    const between: number[][] = [];
    const final = sampleRun(entry.run, between);
    entry.final?.forEach((expected, index) => {
      expect(Math.abs((final[index] ?? Number.NaN) - expected)).toBeLessThanOrEqual(2e-4 * Math.max(Math.abs(expected), 1));
    });
    const asked = entry.between ?? [];
    expect(between).toHaveLength(asked.length === 0 ? between.length : asked.length);
    asked.forEach((levels, draw) => {
      levels.forEach((expected, end) => {
        expect(Math.abs((between[draw]?.[end] ?? Number.NaN) - expected)).toBeLessThanOrEqual(1e-5 * expected);
      });
    });
  });
});
