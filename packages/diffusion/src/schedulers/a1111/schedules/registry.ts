import type { A1111ScheduleName } from "../names.ts";
import { alignYourSteps } from "./align-your-steps.ts";
import { beta } from "./beta.ts";
import { exponential, polyexponential } from "./exponential.ts";
import { karras } from "./karras.ts";
import { klOptimal } from "./kl-optimal.ts";
import { normal, sgmUniform } from "./normal.ts";
import type { Schedule } from "./schedule.ts";
import { ddimGrid, simple } from "./training-grid.ts";
import { uniform } from "./uniform.ts";

/** Every schedule by AUTOMATIC1111's name; "automatic" stands for another and is resolved before. */
export const SCHEDULES: Readonly<Record<Exclude<A1111ScheduleName, "automatic">, Schedule>> = {
  uniform,
  karras,
  exponential,
  polyexponential,
  sgm_uniform: sgmUniform,
  kl_optimal: klOptimal,
  align_your_steps: alignYourSteps,
  simple,
  normal,
  ddim: ddimGrid,
  beta,
};
