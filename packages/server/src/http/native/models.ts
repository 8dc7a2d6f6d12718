import { z } from "zod";
import { ServiceError } from "../../errors.ts";
import { completeRequest } from "../../jobs/complete.ts";
import { MAX_CONTROLS, MAX_LORAS } from "../../jobs/limits.ts";
import { parseOrRefuse } from "../../jobs/parse.ts";
import { applyPreset } from "../../jobs/preset.ts";
import { generationRequestSchema } from "../../jobs/request.ts";
import { workloadOf } from "../../jobs/workload.ts";
import { MODEL_KINDS, type ModelInfo } from "../../models/model.ts";
import { SCHEDULERS } from "../../models/schedulers.ts";
import type { ServerContext } from "../dialect.ts";
import { type Route, route } from "../route.ts";
import { idParams } from "./schemas.ts";

export const modelSchema = z.object({
  id: z.string(),
  object: z.literal("model"),
  created: z.int(),
  owned_by: z.literal("kiln"),
  kind: z.enum(MODEL_KINDS),
  family: z.enum(["sdxl", "sdxl-refiner", "sd15"]).nullable(),
  loaded: z.boolean(),
  default: z.boolean(),
  bytes: z.number(),
  size: z.object({ width: z.int(), height: z.int() }),
  defaults: z.object({
    steps: z.int(),
    guidance_scale: z.number(),
    scheduler: z.string(),
    width: z.int(),
    height: z.int(),
    negative_prompt: z.string().optional(),
    scheduler_config: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
    timesteps: z.array(z.number()).optional(),
    eta: z.number().optional(),
  }),
  words: z.record(z.string(), z.array(z.string())).optional(),
  tokens: z.array(z.string()).optional().meta({ description: "What calls an embedding in a prompt" }),
  title: z.string(),
  description: z.string().optional(),
});

export type ModelView = z.output<typeof modelSchema>;

/** The ids of the models that some engine has in memory. */
export async function loadedModels(context: ServerContext): Promise<Set<string>> {
  const loaded = new Set(context.supervisor?.loaded ?? []);
  for (const { state } of await context.workers.alive()) {
    if (Array.isArray(state.loaded)) for (const id of state.loaded) loaded.add(String(id));
  }
  return loaded;
}

export function viewModel(model: ModelInfo, loaded: ReadonlySet<string>, isDefault: boolean): ModelView {
  const { id, created, kind, family, bytes, size, defaults, words, title, description, embedding } = model;
  return {
    id,
    object: "model",
    created,
    owned_by: "kiln",
    kind,
    family,
    loaded: loaded.has(id),
    default: isDefault,
    bytes,
    size,
    defaults,
    title,
    ...(words ? { words } : {}),
    ...(embedding ? { tokens: [id, ...embedding.tokens] } : {}),
    ...(description === undefined ? {} : { description }),
  };
}

function defaultId(context: ServerContext): string | undefined {
  try {
    return context.catalogue.default().id;
  } catch {
    return undefined;
  }
}

function control(action: "load" | "unload"): Route {
  return route({
    method: "POST",
    path: `/v1/models/{id}/${action}`,
    summary: action === "load" ? "Bring a checkpoint into memory" : "Drop a checkpoint from memory",
    tag: "models",
    params: idParams,
    admin: true,
    answers: { 202: { description: "The engines have been told", schema: z.object({ id: z.string() }) } },
    async handle({ params, context, reply }) {
      const model = context.catalogue.find(params.id, "checkpoint");
      if (!model) throw new ServiceError("not_found", `There is no checkpoint "${params.id}".`);
      context.bus.publish({ type: "model", action, model: model.id });
      reply.code(202);
      return { id: model.id };
    },
  });
}

export const modelRoutes: Route[] = [
  route({
    method: "GET",
    path: "/v1/models",
    summary: "The models that are installed",
    tag: "models",
    answers: { 200: { description: "All models", schema: z.object({ object: z.literal("list"), data: z.array(modelSchema) }) } },
    async handle({ context }) {
      const loaded = await loadedModels(context);
      const chosen = defaultId(context);
      return {
        object: "list" as const,
        data: context.catalogue.list().map((model) => viewModel(model, loaded, model.id === chosen)),
      };
    },
  }),
  route({
    method: "GET",
    path: "/v1/models/{id}",
    summary: "One model",
    tag: "models",
    params: idParams,
    answers: { 200: { description: "The model", schema: modelSchema } },
    async handle({ params, context }) {
      const model = context.catalogue.get(params.id);
      if (!model) throw new ServiceError("not_found", `There is no model "${params.id}".`);
      return viewModel(model, await loadedModels(context), model.id === defaultId(context));
    },
  }),
  control("load"),
  control("unload"),
  route({
    method: "POST",
    path: "/v1/models/refresh",
    summary: "Look again at what is installed",
    tag: "models",
    admin: true,
    answers: { 200: { description: "How many models there are", schema: z.object({ models: z.int() }) } },
    async handle({ context }) {
      await context.catalogue.refresh();
      return { models: context.catalogue.list().length };
    },
  }),
  route({
    method: "GET",
    path: "/v1/schedulers",
    summary: "The schedulers",
    tag: "models",
    answers: {
      200: {
        description: "All schedulers",
        schema: z.object({ data: z.array(z.object({ name: z.string(), label: z.string(), class: z.string() })) }),
      },
    },
    handle: async () => ({ data: SCHEDULERS.map(({ name, label, class: className }) => ({ name, label, class: className })) }),
  }),
  route({
    method: "GET",
    path: "/v1/presets",
    summary: "Aliases, presets, themes, scenarios and defaults by model of the operator",
    tag: "models",
    answers: { 200: { description: "The presets", schema: z.record(z.string(), z.unknown()) } },
    async handle({ context }) {
      const { aliases, presets, themes, scenarios, models } = context.presets;
      return { aliases, presets, themes, scenarios, models };
    },
  }),
  route({
    method: "GET",
    path: "/v1/workload",
    summary: "Workload units of a request",
    tag: "models",
    query: z.object({
      model: z.string().max(200).optional(),
      preset: z.string().max(200).optional(),
      width: z.coerce.number().int().optional(),
      height: z.coerce.number().int().optional(),
      steps: z.coerce.number().int().optional(),
      guidance_scale: z.coerce.number().optional(),
      n: z.coerce.number().int().optional(),
      loras: z.coerce.number().int().min(0).max(MAX_LORAS).optional().meta({ description: "How many" }),
      controls: z.coerce.number().int().min(0).max(MAX_CONTROLS).optional().meta({ description: "How many ControlNets" }),
    }),
    answers: { 200: { description: "The units", schema: z.object({ workload: z.number() }) } },
    async handle({ query: { loras, controls, ...query }, context }) {
      const { presets } = context.presets;
      const request = parseOrRefuse(generationRequestSchema, applyPreset({ ...query, prompt: "-" }, presets));
      const complete = completeRequest(request, context.catalogue, { loras: [], metadata: true });
      return {
        workload: workloadOf({
          ...complete,
          loras: loras === undefined ? complete.loras : { length: loras },
          controls: controls === undefined ? complete.controls : { length: controls },
        }),
      };
    },
  }),
];
