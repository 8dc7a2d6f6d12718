import { z } from "zod";
import type { ServerContext } from "../dialect.ts";
import { type Route, route } from "../route.ts";

const GIB = 2 ** 30;

const gpuSchema = z.object({
  status: z
    .enum(["available", "cpu", "unavailable"])
    .meta({ description: "cpu: the engine has no device memory, the process's own is shown" }),
  memory: z.object({ allocated_gb: z.number(), reserved_gb: z.number(), max_allocated_gb: z.number() }),
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

async function gpuStatus({ supervisor, workers }: ServerContext): Promise<z.output<typeof gpuSchema>> {
  const own = supervisor?.memory;
  // A gateway alone asks what the workers have last said of themselves.
  const memory = own ?? (await workers.alive()).map(({ state }) => memorySchema.safeParse(state.memory).data).find(Boolean);
  if (!memory) return { status: "unavailable", memory: { allocated_gb: 0, reserved_gb: 0, max_allocated_gb: 0 } };
  const used = memory.deviceUsed ?? memory.process;
  const gib = (bytes: number) => Math.round((bytes / GIB) * 100) / 100;
  return {
    status: memory.deviceUsed === undefined ? "cpu" : "available",
    memory: {
      allocated_gb: gib(used),
      reserved_gb: gib(used),
      max_allocated_gb: gib(Math.max(used, supervisor?.peakBytes ?? 0)),
    },
  };
}

const memorySchema = z.object({ process: z.number(), deviceUsed: z.number().optional() });
