import { freemem, totalmem } from "node:os";
import { basename } from "node:path";
import { A1111_SAMPLERS, A1111_SCHEDULES, a1111SamplerOptions } from "@kiln/diffusion";
import type { FastifyInstance } from "fastify";
import { ServiceError } from "../../errors.ts";
import type { ServerContext } from "../../http/dialect.ts";
import type { ModelInfo } from "../../models/model.ts";
import { LATENT_UPSCALERS, UPSCALERS } from "./hires.ts";
import type { OptionsStore } from "./options.ts";
import { stylesOf } from "./prompt.ts";
import { sendNull } from "./send-null.ts";
import { chosenModel, nameOfVae } from "./settings.ts";

/** What its pixels are enlarged by is up to the request; A1111 names four times. */
const UPSCALER_SCALE = 4;
const SCRIPTS = ["controlnet"];
/** By its script for films clients find out that the ControlNet extension is there. */
const CONTROLNET_MARK = "controlnet m2m";

/** Everything that clients fill their menus from. What is not in this build is an empty list. */
export function registerLists(app: FastifyInstance, context: ServerContext, options: OptionsStore): void {
  const { catalogue } = context;
  const lists: Record<string, () => unknown> = {
    samplers: () => A1111_SAMPLERS.map(({ name, aliases }) => ({ name, aliases, options: a1111SamplerOptions(name) })),
    schedulers: () =>
      A1111_SCHEDULES.map(({ name, label, aliases, defaultRho, needInnerModel }) => ({
        name,
        label,
        aliases: aliases.length > 0 ? aliases : null,
        default_rho: defaultRho,
        need_inner_model: needInnerModel,
      })),
    "sd-models": () =>
      catalogue.list("checkpoint").map(({ id, path }) => ({
        title: id,
        model_name: id,
        hash: null,
        sha256: null,
        filename: basename(path) || id,
        config: null,
      })),
    "sd-vae": () => vaes(context),
    "sd-modules": () => vaes(context),
    upscalers: () =>
      UPSCALERS.map((name) => ({ name, model_name: null, model_path: null, model_url: null, scale: UPSCALER_SCALE })),
    "latent-upscale-modes": () => LATENT_UPSCALERS.map((name) => ({ name })),
    loras: () =>
      catalogue.list("lora").map(({ id, title, path }) => ({ name: id, alias: title, path: basename(path), metadata: {} })),
    hypernetworks: () => [],
    "face-restorers": () => [],
    "realesrgan-models": () => [],
    "prompt-styles": () => stylesOf(context),
    extensions: () => [],
    scripts: () => ({ txt2img: [...SCRIPTS, CONTROLNET_MARK], img2img: SCRIPTS }),
    "script-info": () =>
      SCRIPTS.flatMap((name) => [false, true].map((is_img2img) => ({ name, is_alwayson: true, is_img2img, args: [] }))),
    memory: () => memoryOf(context),
    "cmd-flags": () => flagsOf(context),
  };
  for (const [name, list] of Object.entries(lists)) app.get(`/sdapi/v1/${name}`, async () => list());
  app.get("/sdapi/v1/embeddings", async (request) =>
    embeddingsFor(chosenModel((await options.read(request.caller.owner)).sd_model_checkpoint, context), context),
  );
  app.get("/config", async () => menus(context));
  registerModelActions(app, context);
}

function vaes({ catalogue }: ServerContext): object[] {
  return catalogue.list("vae").map((vae) => ({ model_name: nameOfVae(vae), filename: nameOfVae(vae) }));
}

/** Textual inversions: those that the caller's checkpoint can use, and those of other architectures, which A1111 leaves aside. */
function embeddingsFor(model: ModelInfo | undefined, { catalogue }: ServerContext): object {
  const all = catalogue.list("embedding").map(({ id, family, embedding }) => {
    const shape = Object.values(embedding?.widths ?? {}).reduce((sum, width) => sum + width, 0);
    const shown = { step: null, sd_checkpoint: null, sd_checkpoint_name: null, shape, vectors: embedding?.vectors ?? 1 };
    return { usable: family === (model?.family ?? null), entry: [id, shown] as const };
  });
  const those = (usable: boolean) => Object.fromEntries(all.filter((each) => each.usable === usable).map(({ entry }) => entry));
  return { loaded: those(true), skipped: those(false) };
}

function registerModelActions(app: FastifyInstance, context: ServerContext): void {
  let refreshing: Promise<void> | undefined;
  for (const name of ["refresh-checkpoints", "refresh-loras", "refresh-vae", "refresh-embeddings"]) {
    app.post(`/sdapi/v1/${name}`, async (_request, reply) => {
      // Many may ask at once; the folders are looked through once.
      refreshing ??= context.catalogue.refresh().finally(() => {
        refreshing = undefined;
      });
      await refreshing;
      return sendNull(reply);
    });
  }
  for (const [name, action] of [
    ["unload-checkpoint", "unload"],
    ["reload-checkpoint", "load"],
  ] as const) {
    app.post(`/sdapi/v1/${name}`, async (request) => {
      if (request.caller.role !== "admin") throw new ServiceError("forbidden", "This needs a key with the admin role.");
      const model = chosenModel(undefined, context);
      if (model) context.bus.publish({ type: "model", action, model: model.id });
      return {};
    });
  }
  app.post("/sdapi/v1/interrogate", async () => {
    throw new ServiceError("not_supported", "Interrogation is not part of this build.");
  });
}

/** Menus of the web page that some clients read out of Gradio's configuration, because A1111's API does not list them. */
function menus({ catalogue, version }: ServerContext): object {
  const choices: [string, string[]][] = [
    ["setting_sd_lora", ["", ...catalogue.list("lora").map(({ id }) => id)]],
    ["txt2img_hr_upscaler", [...LATENT_UPSCALERS, ...UPSCALERS]],
    ["extras_upscaler_1", UPSCALERS],
  ];
  return {
    version: `Kiln ${version}`,
    components: choices.map(([elem_id, names], id) => ({ id, type: "dropdown", props: { elem_id, choices: names } })),
    dependencies: [],
  };
}

function memoryOf({ supervisor }: ServerContext): object {
  const { process: used = 0, deviceUsed, deviceTotal } = supervisor?.memory ?? {};
  const ram = { free: freemem(), used, total: totalmem() };
  if (deviceUsed === undefined || deviceTotal === undefined) return { ram, cuda: { error: "unavailable" } };
  const now = { current: deviceUsed, peak: deviceUsed };
  const system = { free: deviceTotal - deviceUsed, used: deviceUsed, total: deviceTotal };
  const none = { current: 0, peak: 0 };
  return { ram, cuda: { system, active: now, allocated: now, reserved: now, inactive: none, events: { retries: 0, oom: 0 } } };
}

function flagsOf({ settings }: ServerContext): object {
  return {
    api: true,
    api_server_stop: false,
    nowebui: false,
    api_log: false,
    api_auth: null,
    gradio_auth: null,
    share: false,
    listen: settings.KILN_LISTEN.some(({ host }) => host !== "127.0.0.1" && host !== "::1"),
    server_name: settings.KILN_LISTEN[0]?.host ?? null,
    port: settings.KILN_LISTEN[0]?.port ?? null,
    cors_allow_origins: settings.KILN_CORS_ORIGINS.join(",") || null,
    ckpt: null,
    ckpt_dir: null,
    vae_path: null,
    lora_dir: null,
    medvram: false,
    lowvram: false,
    no_half: true,
    use_cpu: [],
    skip_install: true,
  };
}
