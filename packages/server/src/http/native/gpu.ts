import { z } from "zod";
import type { ServerContext } from "../dialect.ts";
import { type Route, route } from "../route.ts";

const GIB = 2 ** 30;

const gpuSchema = z.object({
  status: z
    .enum(["available", "cpu", "unavailable"])
    .meta({ description: "cpu: the engine has no device memory, the process's own is shown" }),
  device: z.string().optional().meta({ description: "By the name that KILN_DEVICE takes; absent on the CPU" }),
  name: z.string().optional().meta({ description: "The graphics card's, as its driver says it; absent where that is not known" }),
  memory: z
    .object({
      allocated_gb: z.number().optional(),
      reserved_gb: z.number().optional(),
      max_allocated_gb: z.number().optional(),
      total_gb: z.number().optional(),
    })
    .meta({ description: "Without what is not known: WebGPU does not tell what is taken" }),
});

/** The views service's task of this name, as a call for admins. */
export const gpuRoutes: Route[] = [
  route({
    method: "GET",
    path: "/v1/gpu",
    summary: "Memory of the engine's device",
    tag: "system",
    admin: true,
    answers: { 200: { description: "In GiB", schema: gpuSchema } },
    handle: async ({ context }) => await gpuStatus(context),
  }),
];

type GpuStatus = z.output<typeof gpuSchema>;

async function gpuStatus({ supervisor, workers }: ServerContext): Promise<GpuStatus> {
  const own = { ...supervisor?.about, memory: supervisor?.memory };
  // A gateway alone asks what the workers have last said of themselves.
  const states = supervisor?.memory ? [own] : (await workers.alive()).map(({ state }) => state);
  const state = states.map((each) => stateSchema.safeParse(each).data).find(Boolean);
  return describeGpu(state, supervisor?.peakBytes);
}

const stateSchema = z.object({
  device: z.string().optional(),
  card: z.object({ name: z.string(), memoryBytes: z.number().optional() }).optional(),
  memory: z.object({ process: z.number(), deviceUsed: z.number().optional(), deviceTotal: z.number().optional() }),
});

/** Engines' devices that are none: the processor, and the test engine's. */
const NO_DEVICE: readonly (string | undefined)[] = ["cpu", "none", undefined];

/** What an engine says of itself. */
export type EngineState = z.output<typeof stateSchema>;

/** The answer about an engine; undefined: about none. `peakBytes` is the most that it has held. */
export function describeGpu(state: EngineState | undefined, peakBytes = 0): GpuStatus {
  if (!state) return { status: "unavailable", memory: { allocated_gb: 0, reserved_gb: 0, max_allocated_gb: 0 } };
  const { device, card, memory } = state;
  const onCpu = NO_DEVICE.includes(device);
  const used = onCpu ? memory.process : memory.deviceUsed;
  const total = memory.deviceTotal ?? card?.memoryBytes;
  return {
    status: onCpu ? "cpu" : "available",
    ...(onCpu ? {} : { device }),
    ...(card ? { name: card.name } : {}),
    memory: {
      ...(used === undefined
        ? {}
        : { allocated_gb: gib(used), reserved_gb: gib(used), max_allocated_gb: gib(Math.max(used, peakBytes)) }),
      ...(total === undefined ? {} : { total_gb: gib(total) }),
    },
  };
}

function gib(bytes: number): number {
  return Math.round((bytes / GIB) * 100) / 100;
}
