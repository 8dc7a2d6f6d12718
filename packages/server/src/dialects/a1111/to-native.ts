import { randomInt } from "node:crypto";
import type { Caller } from "../../auth/caller.ts";
import { ServiceError } from "../../errors.ts";
import type { ServerContext } from "../../http/dialect.ts";
import { follow } from "../../jobs/picture-seeds.ts";
import type { GenerationRequestInput } from "../../jobs/request.ts";
import type { ModelInfo } from "../../models/model.ts";
import { controlsOf, readUnits } from "./controlnet.ts";
import { A1111Error } from "./errors.ts";
import { type CommonFields, type ImageFields, MAX_CALL_PICTURES, type TextFields } from "./fields.ts";
import { hiresOf } from "./hires.ts";
import { inpaintOf } from "./mask.ts";
import { type StartPicture, storeStart } from "./pictures.ts";
import { networksNotFound, type ReadPrompt, readPrompt, stylesOf, withStyles } from "./prompt.ts";
import { samplerOf } from "./sampler.ts";
import { chosenModel, chosenVae, formatOf, type Settings, settingsFor } from "./settings.ts";

/** A seed that is left out is drawn here, because the jobs of one call count on from it. */
const RANDOM_SEED_END = 2 ** 32;
/** A1111's name for the weight of a picture to start from that nobody gave. */
const DEFAULT_STRENGTH = 0.75;

/** What a call of A1111's means: one native request for each iteration, and what its answer says beside the pictures. */
export interface Plan {
  requests: GenerationRequestInput[];
  /** As the client wrote them. */
  prompt: string;
  negativePrompt: string;
  styles: string[];
  seed: string;
  subseed: string;
  batchSize: number;
  clipSkip: number;
  /** What was left out or done otherwise. */
  remarks: string[];
}

export async function planText(
  fields: TextFields,
  stored: Record<string, unknown>,
  caller: Caller,
  context: ServerContext,
): Promise<Plan> {
  const draft = await draftOf(fields, stored, undefined, caller, context);
  if (fields.enable_hr !== true) return planOf(fields, draft, [{}]);
  const { hires, remarks } = hiresOf(fields, draft.size, context);
  return planOf(fields, { ...draft, remarks: [...draft.remarks, ...remarks], one: { ...draft.one, hires } }, [{}]);
}

export async function planImage(
  fields: ImageFields,
  stored: Record<string, unknown>,
  caller: Caller,
  context: ServerContext,
): Promise<Plan> {
  const draft = await draftOf(fields, stored, fields, caller, context);
  const strength = fields.denoising_strength ?? DEFAULT_STRENGTH;
  const starts = draft.starts.map(({ image, mask }) => ({
    image,
    strength,
    ...(mask === undefined ? {} : { mask, inpaint: inpaintOf(fields) }),
  }));
  const multiplier = fields.initial_noise_multiplier ?? 1;
  const remarks = multiplier === 1 ? [] : ["initial_noise_multiplier: the noise was left as it is."];
  return planOf(fields, { ...draft, remarks: [...draft.remarks, ...remarks] }, starts);
}

interface Draft {
  model: ModelInfo;
  settings: Settings;
  size: { width: number; height: number };
  starts: StartPicture[];
  prompt: string;
  negativePrompt: string;
  one: GenerationRequestInput;
  remarks: string[];
}

async function draftOf(
  fields: CommonFields,
  stored: Record<string, unknown>,
  image: ImageFields | undefined,
  caller: Caller,
  context: ServerContext,
): Promise<Draft> {
  if (fields.script_name) throw new A1111Error(422, `Script '${fields.script_name.slice(0, 100)}' not found`);
  const settings = settingsFor(stored, fields.override_settings ?? {});
  const model = modelFor(fields, settings, context);
  const size = { width: fields.width ?? model.defaults.width, height: fields.height ?? model.defaults.height };
  const styles = stylesOf(context);
  const prompt = withStyles(fields.prompt ?? "", fields.styles ?? [], styles);
  const negativePrompt = fields.negative_prompt ?? context.presets.negative_prompt;
  const read = readPrompt(prompt, context);
  const units = readUnits(fields);
  const chosen = chosenVae(settings, context);
  const sampler = samplerOf(fields);
  const starts = image ? await storeStart(image, size, caller, context) : [];
  const controls = await controlsOf(units, starts[0]?.size ?? size, starts[0]?.image, context);
  const one: GenerationRequestInput = {
    // An empty prompt is one to A1111.
    prompt: read.text === "" ? " " : read.text,
    ...negativeOf(readPrompt(negativePrompt, context).text, model),
    prompt_syntax: "a1111",
    model: model.id,
    ...(fields.width || image ? { width: size.width } : {}),
    ...(fields.height || image ? { height: size.height } : {}),
    ...(fields.steps ? { steps: fields.steps } : {}),
    ...(typeof fields.cfg_scale === "number" ? { guidance_scale: fields.cfg_scale } : {}),
    ...(sampler ? { a1111: sampler } : {}),
    clip_skip: clipSkipOf(settings, model),
    // "GPU" is NVIDIA's generator, which "NV" computes on any machine.
    noise: settings.randn_source === "CPU" ? "torch-cpu" : "philox",
    ...(settings.eta_noise_seed_delta ? { noise_seed_delta: settings.eta_noise_seed_delta } : {}),
    ...(chosen.vae ? { vae: chosen.vae.id } : {}),
    ...(read.loras.length > 0 ? { loras: read.loras } : {}),
    ...(controls.length > 0 ? { controls } : {}),
    ...refinerOf(fields, context),
    ...seedResizeOf(fields),
    output: formatOf(settings),
  };
  return {
    model,
    settings,
    size,
    starts,
    prompt,
    negativePrompt,
    one,
    remarks: remarksOf(fields, chosen.unknown, read),
  };
}

/** A1111 takes an empty one as none, which for SDXL is not the same as encoding it. */
function negativeOf(text: string, { defaults }: ModelInfo): Pick<GenerationRequestInput, "negative_prompt"> {
  return text === "" && defaults.negative_prompt === undefined ? {} : { negative_prompt: text };
}

function planOf(
  fields: CommonFields,
  { settings, one, prompt, negativePrompt, remarks }: Draft,
  starts: readonly Partial<GenerationRequestInput>[],
): Plan {
  const seed = seedOr(fields.seed);
  const subseed = seedOr(fields.subseed);
  const strength = fields.subseed_strength ?? 0;
  const iterations = fields.n_iter ?? 1;
  // Several pictures to start from are one batch.
  const batchSize = starts.length > 1 ? starts.length : (fields.batch_size ?? 1);
  if (iterations * batchSize > MAX_CALL_PICTURES) {
    throw new ServiceError("invalid_request", `n_iter: one call makes at most ${MAX_CALL_PICTURES} pictures.`, {
      field: "n_iter",
    });
  }
  const requests: GenerationRequestInput[] = [];
  for (let iteration = 0; iteration < iterations; iteration++) {
    for (const [index, start] of starts.entries()) {
      const place = iteration * batchSize + index;
      const seeds =
        strength > 0 ? { seed, variation: { seed: follow(subseed, place), strength } } : { seed: follow(seed, place) };
      requests.push({ ...one, ...start, ...seeds, n: starts.length > 1 ? 1 : batchSize });
    }
  }
  return {
    requests,
    prompt,
    negativePrompt,
    styles: fields.styles ?? [],
    seed,
    subseed,
    batchSize,
    clipSkip: settings.CLIP_stop_at_last_layers ?? 1,
    remarks,
  };
}

function seedOr(seed: CommonFields["seed"]): string {
  return String(seed ?? randomInt(RANDOM_SEED_END));
}

/** The request's own model has to be there; the caller's setting may be out of date. */
function modelFor({ override_settings }: CommonFields, settings: Settings, context: ServerContext): ModelInfo {
  const named = override_settings?.sd_model_checkpoint;
  if (named) return context.catalogue.require(named, "checkpoint", "model");
  return chosenModel(settings.sd_model_checkpoint, context) ?? context.catalogue.default();
}

/** A1111 counts the encoder's last blocks, 1 being all of them; SDXL is read before its last block anyway unless a setting says otherwise. */
function clipSkipOf({ CLIP_stop_at_last_layers, sdxl_clip_l_skip }: Settings, { family }: ModelInfo): number {
  if (family === "sdxl" && sdxl_clip_l_skip !== true) return 0;
  return (CLIP_stop_at_last_layers ?? 1) - 1;
}

function refinerOf(
  { refiner_checkpoint: name, refiner_switch_at: switchAt }: CommonFields,
  { catalogue }: ServerContext,
): Pick<GenerationRequestInput, "refiner"> {
  if (!name || /^none$/i.test(name)) return {};
  // At the very beginning or end there is nothing for one of the two to do.
  const at = switchAt ?? 0.8;
  if (at <= 0 || at >= 1) return {};
  return { refiner: { model: catalogue.require(name, "checkpoint", "refiner").id, mode: "ensemble", switch_at: at } };
}

function seedResizeOf({ seed_resize_from_w: width, seed_resize_from_h: height }: CommonFields) {
  return width && height ? { seed_resize_from: { width, height } } : {};
}

function remarksOf(fields: CommonFields, vae: string | undefined, prompt: ReadPrompt): string[] {
  const scripts = Object.keys(fields.alwayson_scripts ?? {}).filter((name) => name.toLowerCase() !== "controlnet");
  const remarks: [boolean, string][] = [
    [fields.restore_faces === true, "restore_faces: no face restoration is installed."],
    [(fields.s_min_uncond ?? 0) > 0, "s_min_uncond: every step was guided."],
    [
      fields.infotext !== null && fields.infotext !== undefined && fields.infotext !== "",
      "infotext: not read; only the fields count.",
    ],
    [fields.tiling === true, "tiling: pictures are not made to tile."],
    [vae !== undefined, `sd_vae: ${vae?.slice(0, 200)} not found; the checkpoint's own VAE was used.`],
    [scripts.length > 0, `alwayson_scripts: ${scripts.join(", ").slice(0, 200)} not found.`],
  ];
  return [...networksNotFound(prompt), ...remarks.filter(([said]) => said).map(([, remark]) => remark)];
}
