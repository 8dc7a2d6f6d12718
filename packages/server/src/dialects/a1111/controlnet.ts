import { z } from "zod";
import { ServiceError } from "../../errors.ts";
import type { ServerContext } from "../../http/dialect.ts";
import { MAX_BODY_BYTES } from "../../jobs/limits.ts";
import { decodeBase64 } from "../../jobs/pictures-in.ts";
import type { GenerationRequestInput } from "../../jobs/request.ts";
import { number, parseFields } from "../field-errors.ts";
import { type Fit, fitPicture } from "../fit-picture.ts";
import { looseFlag } from "../loose.ts";
import type { CommonFields } from "./fields.ts";
import type { Size } from "./pictures.ts";

/** Units of the extension; more than this is no use of it. */
const MAX_UNITS = 10;

const picture = z.string().max(MAX_BODY_BYTES);
const modes = (names: readonly string[]) =>
  z.union([
    z.int().min(0).max(2),
    z.string().refine((name) => names.includes(name.toLowerCase()), `must be 0 to 2 or one of ${names.join(", ")}`),
  ]);
const RESIZE_MODES = ["just resize", "crop and resize", "resize and fill"];
const OLD_RESIZE_MODES = [
  "envelope (outer fit)",
  "scale to fit (inner fit)",
  "inner fit (scale to fit)",
  "outer fit (shrink to fit)",
];
const CONTROL_MODES = ["balanced", "my prompt is more important", "controlnet is more important"];

const unitSchema = z.object({
  enabled: looseFlag.nullish(),
  module: z.string().max(100).nullish(),
  model: z.string().max(300).nullish(),
  weight: number((schema) => schema.min(0).max(2)).nullish(),
  image: z.union([picture, z.object({ image: picture.nullish() })]).nullish(),
  input_image: picture.nullish(),
  resize_mode: modes([...RESIZE_MODES, ...OLD_RESIZE_MODES]).nullish(),
  control_mode: modes(CONTROL_MODES).nullish(),
  guidance_start: number((schema) => schema.min(0).max(1)).nullish(),
  guidance_end: number((schema) => schema.min(0).max(1)).nullish(),
  processor_res: number().nullish(),
  threshold_a: number().nullish(),
  threshold_b: number().nullish(),
  pixel_perfect: looseFlag.nullish(),
});

type Unit = z.output<typeof unitSchema>;
type Control = NonNullable<GenerationRequestInput["controls"]>[number];

/** The preprocessor that takes a picture as it is: the one that is there. */
export const READY_MADE = ["none", "", "none (ready-made map)"];

/** The ControlNet units of a request that are switched on. Raises FieldErrors. */
export function readUnits({ alwayson_scripts, controlnet_units }: CommonFields): Unit[] {
  const script = Object.entries(alwayson_scripts ?? {}).find(([name]) => name.toLowerCase() === "controlnet");
  const args = z.object({ args: z.array(z.unknown()).max(MAX_UNITS).nullish() }).nullish();
  const given = script ? parseFields(z.object({ alwayson_scripts: args }), { alwayson_scripts: script[1] }, "body") : undefined;
  const list = given?.alwayson_scripts?.args ?? controlnet_units ?? [];
  const named = parseFields(
    z.object({ controlnet: z.array(z.union([unitSchema, z.null(), z.boolean(), z.string(), z.number()])).max(MAX_UNITS) }),
    { controlnet: list },
    "body",
  );
  return named.controlnet
    .filter((unit) => typeof unit === "object" && unit !== null)
    .filter(({ enabled, model }) => enabled !== false && model !== null && model !== undefined && !/^(none)?$/i.test(model));
}

/**
 * The native controls of the units, with their maps at the drawn size. `start` is the picture of image to image, which is
 * the map where a unit brings none. Raises for a preprocessor: maps are sent ready made.
 */
export async function controlsOf(
  units: readonly Unit[],
  size: Size,
  start: string | undefined,
  context: ServerContext,
): Promise<Control[]> {
  const controls: Control[] = [];
  for (const unit of units) {
    const { model, module } = unit;
    if (!READY_MADE.includes((module ?? "none").toLowerCase())) throw noModule(module ?? "");
    const control = context.catalogue.require(model ?? "", "controlnet", "controls");
    controls.push({
      model: control.id,
      image: await mapOf(unit, size, start),
      scale: unit.weight ?? 1,
      start: unit.guidance_start ?? 0,
      end: unit.guidance_end ?? 1,
      ...modeOf(unit),
    });
  }
  return controls;
}

export function noModule(module: string): ServiceError {
  return new ServiceError(
    "invalid_request",
    `controls: the preprocessor "${module.slice(0, 100)}" is not installed; send a ready-made map with the module "none".`,
    { field: "controls" },
  );
}

async function mapOf(
  { image, input_image, resize_mode }: Unit,
  { width, height }: Size,
  start: string | undefined,
): Promise<string> {
  const own = (typeof image === "object" ? image?.image : image) || input_image;
  if (!own) {
    if (start !== undefined) return start;
    throw new ServiceError("invalid_request", "controls: the ControlNet unit has no image.", { field: "controls" });
  }
  const bytes = await fitPicture(decodeBase64(own, "controls"), width, height, fitOf(resize_mode), "controls");
  return bytes.toString("base64");
}

function fitOf(mode: Unit["resize_mode"]): Fit {
  const name = typeof mode === "string" ? mode.toLowerCase() : RESIZE_MODES[mode ?? 1];
  if (name === "just resize") return "fill";
  return name === "resize and fill" || name?.startsWith("envelope") || name?.startsWith("outer") ? "contain" : "cover";
}

/** What counts more to a unit: neither, the prompt or the map, by number or by name. */
function modeOf({ control_mode: mode }: Unit): Pick<Control, "mode"> {
  const index = typeof mode === "string" ? CONTROL_MODES.indexOf(mode.toLowerCase()) : (mode ?? 0);
  if (index === 1) return { mode: "prompt" };
  return index === 2 ? { mode: "control" } : {};
}
