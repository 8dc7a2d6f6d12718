import { z } from "zod";
import { messageOf, ServiceError } from "../../errors.ts";
import { type Route, route } from "../route.ts";
import { idParams } from "./schemas.ts";

/** Above any real one, and within the column's 32 bits. */
const MAX_QUOTA = 1_000_000_000;
/** As KILN_RATE_LIMIT's; no listener takes more. */
const MAX_RATE = 1_000_000;

const keySchema = z.object({
  id: z.string(),
  name: z.string(),
  role: z.enum(["admin", "user"]),
  rate_per_minute: z.int().nullable(),
  quota_pictures_per_day: z.int().nullable(),
  quota_megapixel_steps_per_day: z.int().nullable().meta({ description: "Steps x pixels in millions" }),
  content_ceiling: z.int().nullable(),
  created_at: z.iso.datetime(),
});

export const systemRoutes: Route[] = [
  route({
    method: "GET",
    path: "/healthz",
    summary: "Whether the gateway answers",
    tag: "health",
    public: true,
    answers: { 200: { description: "It does", schema: z.object({ status: z.literal("ok") }) } },
    handle: async () => ({ status: "ok" as const }),
  }),
  route({
    method: "GET",
    path: "/readyz",
    summary: "Whether a job that is sent now would be taken and drawn",
    tag: "health",
    public: true,
    answers: {
      200: { description: "It would", schema: z.object({ status: z.literal("ready") }) },
      503: { description: "It would not (yet)", contentType: "application/problem+json" },
    },
    async handle({ context }) {
      try {
        await context.checkReady();
      } catch (error) {
        throw error instanceof ServiceError ? error : new ServiceError("unavailable", messageOf(error), { retryAfter: 5 });
      }
      return { status: "ready" as const };
    },
  }),
  route({
    method: "GET",
    path: "/metrics",
    summary: "Prometheus metrics",
    tag: "health",
    answers: { 200: { description: "The metrics", contentType: "text/plain" } },
    async handle({ context, reply }) {
      const { registry, engineMemory } = context.metrics;
      const memory = context.supervisor?.memory;
      if (memory) engineMemory.set({ kind: "process" }, memory.process);
      if (memory?.deviceUsed !== undefined) engineMemory.set({ kind: "device" }, memory.deviceUsed);
      return reply.type(registry.contentType).send(await registry.metrics());
    },
  }),
  route({
    method: "GET",
    path: "/v1/system",
    summary: "Version, engines, memory, queue",
    tag: "system",
    answers: { 200: { description: "The system", schema: z.record(z.string(), z.unknown()) } },
    async handle({ context }) {
      const workers = await context.workers.alive();
      const about = context.supervisor?.about ?? workers[0]?.state ?? {};
      const part = (name: string) => (name in about ? (about as Record<string, unknown>)[name] : null);
      return {
        version: context.version,
        backend: part("backend"),
        device: part("device"),
        precision: part("precision"),
        card: part("card"),
        memory: context.supervisor?.memory ?? workers[0]?.state.memory ?? {},
        queue: await context.queueCounts(),
        workers: workers.map(({ id, host, device, state }) => ({ id, host, device, ...state })),
        uptime_seconds: Math.round((Date.now() - context.startedAt) / 1000),
      };
    },
  }),
  route({
    method: "GET",
    path: "/v1/usage",
    summary: "Jobs and pictures by day",
    tag: "system",
    query: z.object({ days: z.coerce.number().int().min(1).max(366).default(30) }),
    answers: { 200: { description: "The days", schema: z.object({ data: z.array(z.record(z.string(), z.unknown())) }) } },
    async handle({ query, caller, context }) {
      const from = new Date(Date.now() - (query.days - 1) * 86_400_000).toISOString().slice(0, 10);
      return { data: await context.usage.days(caller.role === "admin" ? undefined : caller.owner, from) };
    },
  }),
  route({
    method: "GET",
    path: "/v1/keys",
    summary: "API keys, without their secrets",
    tag: "keys",
    admin: true,
    answers: { 200: { description: "The keys", schema: z.object({ data: z.array(keySchema) }) } },
    handle: async ({ context }) => ({ data: await context.keys.list() }),
  }),
  route({
    method: "POST",
    path: "/v1/keys",
    summary: "Create an API key; its secret is in this answer alone",
    tag: "keys",
    admin: true,
    body: z.object({
      name: z.string().min(1).max(100),
      role: z.enum(["admin", "user"]).default("user"),
      rate_per_minute: z.int().min(1).max(MAX_RATE).optional(),
      quota_pictures_per_day: z.int().min(1).max(MAX_QUOTA).optional(),
      quota_megapixel_steps_per_day: z.int().min(1).max(MAX_QUOTA).optional(),
      content_ceiling: z.int().min(0).max(100).optional(),
    }),
    answers: { 201: { description: "The key", schema: keySchema.extend({ key: z.string() }) } },
    async handle({ body, context, reply }) {
      // The first key locks keyless callers out, so it has to be able to make others.
      if (body.role !== "admin" && !(await context.keys.any())) {
        throw new ServiceError("conflict", 'The first key must have the role "admin": from then on every caller needs a key.', {
          field: "role",
        });
      }
      const { key, view } = await context.keys.create({
        name: body.name,
        role: body.role,
        ratePerMinute: body.rate_per_minute,
        quotaPicturesPerDay: body.quota_pictures_per_day,
        quotaMegapixelStepsPerDay: body.quota_megapixel_steps_per_day,
        contentCeiling: body.content_ceiling,
      });
      reply.code(201);
      return { ...view, key };
    },
  }),
  route({
    method: "DELETE",
    path: "/v1/keys/{id}",
    summary: "Revoke an API key",
    tag: "keys",
    admin: true,
    params: idParams,
    answers: { 204: { description: "It is revoked" } },
    async handle({ params, context, reply }) {
      await context.keys.revoke(params.id);
      return reply.code(204).send();
    },
  }),
];
