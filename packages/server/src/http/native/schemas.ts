import { z } from "zod";
import { isRecordTime } from "../../records/record-time.ts";
import { JOB_STATUSES } from "../../records/schema.ts";

const seed = z.union([z.int(), z.string()]);

export const imageSchema = z.object({
  id: z.string(),
  url: z.string(),
  thumbnail_url: z.string(),
  width: z.int(),
  height: z.int(),
  seed,
  format: z.string(),
  bytes: z.int(),
});

export const progressSchema = z.object({
  step: z.int(),
  total_steps: z.int(),
  percent: z.number(),
  eta_seconds: z.number().nullable(),
  phase: z.enum(["loading", "encoding", "denoising", "decoding"]),
});

export const jobSchema = z.object({
  id: z.string(),
  status: z.enum(JOB_STATUSES),
  priority: z.enum(["urgent", "high", "normal"]),
  created_at: z.iso.datetime(),
  started_at: z.iso.datetime().optional(),
  finished_at: z.iso.datetime().optional(),
  request: z.record(z.string(), z.unknown()).meta({ description: "The request with everything filled in" }),
  progress: progressSchema.optional(),
  position: z.int().optional(),
  images: z.array(imageSchema),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
  attempts: z.int(),
  favorite: z.boolean(),
  selected: z.string().optional(),
  workload: z.number(),
  timings: z
    .object({ queue_seconds: z.number(), load_seconds: z.number(), denoise_seconds: z.number(), total_seconds: z.number() })
    .optional(),
  parameters: z.string().optional(),
  warnings: z.array(z.string()).optional(),
});

export const idParams = z.object({ id: z.string().min(1).max(200) });

/** A flag in a query string. */
export const queryFlag = z.enum(["true", "false"]).transform((word) => word === "true");

/** A date or a date with a time, UTC where it says no zone, in a query string. */
export const queryTime = z
  .union([z.iso.date(), z.iso.datetime({ offset: true, local: true })])
  .transform((text) => new Date(/T.*(?:Z|[+-]\d\d:?\d\d)$/.test(text) || !text.includes("T") ? text : `${text}Z`))
  .refine(isRecordTime, "Its year is none of 1 to 9998.");
