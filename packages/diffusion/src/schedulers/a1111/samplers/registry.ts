import type { A1111SamplerName } from "../names.ts";
import type { SigmaSampler } from "./algorithm.ts";
import { dpm2, dpm2Ancestral } from "./dpm-2.ts";
import { dpmpp2m } from "./dpmpp-2m.ts";
import { dpmpp2mSde, dpmpp2mSdeHeun } from "./dpmpp-2m-sde.ts";
import { dpmpp2sAncestral } from "./dpmpp-2s-ancestral.ts";
import { dpmpp3mSde } from "./dpmpp-3m-sde.ts";
import { dpmppSde } from "./dpmpp-sde.ts";
import { euler } from "./euler.ts";
import { eulerAncestral } from "./euler-ancestral.ts";
import { heun } from "./heun.ts";
import { lcm } from "./lcm.ts";
import { lms } from "./lms.ts";
import { restart } from "./restart.ts";

/** The samplers that count in timesteps and not in sigmas. */
export type TimestepSamplerName = Extract<A1111SamplerName, "DDIM" | "PLMS" | "UniPC">;

/** The samplers that walk down a list of sigmas. DPM fast takes its two ends alone and is planned apart. */
export const SIGMA_SAMPLERS: Readonly<Record<Exclude<A1111SamplerName, TimestepSamplerName | "DPM fast">, SigmaSampler>> = {
  "DPM++ 2M": dpmpp2m,
  "DPM++ SDE": dpmppSde,
  "DPM++ 2M SDE": dpmpp2mSde,
  "DPM++ 2M SDE Heun": dpmpp2mSdeHeun,
  "DPM++ 2S a": dpmpp2sAncestral,
  "DPM++ 3M SDE": dpmpp3mSde,
  "Euler a": eulerAncestral,
  Euler: euler,
  LMS: lms,
  Heun: heun,
  DPM2: dpm2,
  "DPM2 a": dpm2Ancestral,
  Restart: restart,
  LCM: lcm,
};
