import { z } from "zod";

/** Devices of one machine: more than any has, and few enough that a wrong setting starts no fleet of processes. */
const MOST_DEVICES = 16;

/** `auto`, `cpu`, `webgpu`, `cuda`, or `cuda:1` and so on for one of several GPUs. */
export const deviceSchema = z
  .string()
  .regex(/^(auto|cpu|webgpu|cuda(:\d{1,2})?)$/, 'must be auto, cpu, webgpu, cuda, or "cuda:1" for one of several GPUs');

/** Devices by commas, each once. */
export const devicesSchema = z
  .string()
  .transform((text) => text.split(",").map((part) => part.trim()))
  .pipe(z.array(deviceSchema).min(1).max(MOST_DEVICES))
  .refine((devices) => new Set(devices).size === devices.length, "must name each device once");
