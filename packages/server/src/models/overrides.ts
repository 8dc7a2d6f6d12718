import { z } from "zod";
import * as limits from "../jobs/limits.ts";
import type { ModelDefaults, ModelInfo } from "./model.ts";
import { findScheduler } from "./schedulers.ts";

const side = z.int().min(limits.MIN_SIDE).max(limits.MAX_SIDE).multipleOf(limits.SIDE_MULTIPLE);

/** What the operator's file may say of one model. */
export const modelOverridesSchema = z.strictObject({
  steps: z.int().min(1).max(limits.MAX_STEPS).optional(),
  guidance_scale: z.number().min(0).max(30).optional(),
  scheduler: z
    .string()
    .refine((name) => findScheduler(name) !== undefined, "is no scheduler that GET /v1/schedulers lists")
    .optional(),
  width: side.optional(),
  height: side.optional(),
  negative_prompt: z.string().max(limits.MAX_PROMPT_CHARACTERS).optional(),
  /** Other names for this model. */
  aliases: z.array(z.string().min(1).max(200)).default([]),
  title: z.string().min(1).max(200).optional(),
  description: z.string().max(2000).optional(),
});

export type ModelOverrides = z.output<typeof modelOverridesSchema>;

/** The model with the operator's word over its files'. */
export function overrideModel(model: ModelInfo, { aliases: _, title, description, ...rest }: ModelOverrides): ModelInfo {
  const operator: Partial<ModelDefaults> = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  const defaults = { ...model.defaults, ...operator };
  if (operator.scheduler !== undefined) delete defaults.scheduler_config;
  if (operator.scheduler !== undefined || operator.steps !== undefined) delete defaults.timesteps;
  return {
    ...model,
    defaults,
    operator,
    size: { width: defaults.width, height: defaults.height },
    ...(title === undefined ? {} : { title }),
    ...(description === undefined ? {} : { description }),
  };
}
