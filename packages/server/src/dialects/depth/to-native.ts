import { ServiceError } from "../../errors.ts";
import type { ServerContext } from "../../http/dialect.ts";
import type { GenerationRequestInput } from "../../jobs/request.ts";
import type { Presets } from "../../models/presets.ts";
import { mockDepthMap, readDepthMap } from "./depth-map.ts";
import { type ChosenModel, chooseModel, findDepthControl, recipeOf, schedulerOf } from "./models.ts";
import type { DepthRequest } from "./request.ts";

/** The contract's quality of JPEG answers. */
const JPEG_QUALITY = 85;

/** What a request of the contract means. */
export interface Translated {
  native: GenerationRequestInput;
  model: ChosenModel;
  /** Where the depth comes from, and which ControlNet reads it. */
  depth: "map" | "mock" | "none";
  controlnet: string | null;
  notes: string[];
}

/** Raises `model_not_found` for a model, a theme or a ControlNet that is not there, and `picture_invalid`. */
export async function translate(request: DepthRequest, { catalogue, presets }: ServerContext): Promise<Translated> {
  const model = chooseModel(request.model ?? undefined, catalogue);
  const { checkpoint } = model;
  const width = request.width ?? checkpoint.size.width;
  const height = request.height ?? checkpoint.size.height;
  const { steps, cfg } = recipeOf(model);
  const theme = themeOf(request.era ?? undefined, presets);
  const negative = request.negative_prompt ?? (presets.negative_prompt === "" ? undefined : presets.negative_prompt);
  const { control, ...depth } = await depthOf(request, model, { width, height }, catalogue);
  return {
    native: {
      prompt: withTheme(request.prompt, theme?.prompt),
      ...(negative === undefined ? {} : { negative_prompt: negative }),
      model: checkpoint.id,
      width,
      height,
      steps: request.steps ?? steps,
      guidance_scale: request.cfg ?? cfg,
      ...schedulerOf(request.scheduler, request.use_karras_sigmas ?? undefined, model),
      ...(request.seed === null || request.seed === undefined ? {} : { seed: request.seed }),
      ...lorasOf(request, theme),
      controls: control ? [control] : [],
      output: request.use_jpeg ? { format: "jpeg", quality: JPEG_QUALITY } : { format: "png" },
      preview: false,
    },
    model,
    ...depth,
    notes: [...model.notes, ...depth.notes],
  };
}

type Theme = Presets["themes"][string];

function themeOf(era: string | undefined, { themes }: Presets): Theme | undefined {
  if (era === undefined || era === "") return undefined;
  const theme = Object.hasOwn(themes, era) ? themes[era] : undefined;
  if (theme) return theme;
  const known = Object.keys(themes).join(", ");
  throw new ServiceError("model_not_found", `There is no era "${era}"; there are ${known === "" ? "none" : known}.`);
}

/** A theme's words go after the request's, or around them where they hold `{prompt}`. */
function withTheme(prompt: string, words: string | undefined): string {
  if (words === undefined || words === "") return prompt;
  return words.includes("{prompt}") ? words.replaceAll("{prompt}", () => prompt) : `${prompt}, ${words}`;
}

/** The theme's LoRAs at the request's strength, and the request's own; without either, the operator's. */
function lorasOf(
  { loras, era, lora_strength }: DepthRequest,
  theme: Theme | undefined,
): { loras?: { name: string; weight: number }[] } {
  if (!theme && !loras && !era) return {};
  const ofTheme = (theme?.loras ?? []).map(({ name, weight }) => ({ name, weight: weight * lora_strength }));
  const own = (loras ?? []).map(({ name, strength }) => ({ name, weight: strength }));
  return { loras: [...ofTheme, ...own] };
}

type Control = NonNullable<GenerationRequestInput["controls"]>[number];

async function depthOf(
  request: DepthRequest,
  { checkpoint }: ChosenModel,
  size: { width: number; height: number },
  catalogue: ServerContext["catalogue"],
): Promise<Pick<Translated, "depth" | "controlnet" | "notes"> & { control?: Control }> {
  const base64 = request.depth_map_b64 ?? "";
  if (base64 === "" && !request.mock_depth) {
    return { depth: "none", controlnet: null, notes: ["Neither depth map nor mock was asked for: text to image."] };
  }
  const depth = base64 === "" ? "mock" : "map";
  const map = depth === "map" ? await readDepthMap(base64, size) : await mockDepthMap(size);
  if (checkpoint.variant === "demo") {
    return { depth: "none", controlnet: null, notes: ["The built-in demo has no depth ControlNet: text to image."] };
  }
  const model = findDepthControl(checkpoint, catalogue);
  if (!model) {
    throw new ServiceError(
      "model_not_found",
      `No depth ControlNet for ${checkpoint.id} is installed; put one with "depth" in its name into MODELS_DIR.`,
    );
  }
  const control = {
    model: model.id,
    image: `data:image/png;base64,${map.toString("base64")}`,
    scale: request.controlnet_strength,
    start: request.control_guidance_start,
    end: request.control_guidance_end,
  };
  return { depth, controlnet: model.id, notes: [], control };
}
