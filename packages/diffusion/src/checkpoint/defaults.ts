import { join } from "node:path";
import { KilnError } from "../errors.ts";
import { PIXELS_PER_LATENT } from "../latent-size.ts";
import { isFile, isFolder, resolveSnapshot } from "./folder.ts";
import { isJsonObject, type JsonObject, readJsonObject } from "./json.ts";

/** What a checkpoint's maker says suits it; everything may be missing. */
export interface CheckpointDefaults {
  /** In pixels. */
  readonly width?: number;
  readonly height?: number;
  readonly steps?: number;
  readonly guidanceScale?: number;
  /** By any name that schedulers answer to. */
  readonly scheduler?: string;
}

/**
 * Reads a folder's `kiln.json` (`{ "defaults": { "steps": 20, ... } }`), and the size that the UNet was trained at from its config.
 * Single files have no such place: their defaults are their family's.
 * @throws KilnError file_corrupt where a value is not a number that could be meant
 */
export async function readDefaults(path: string): Promise<CheckpointDefaults> {
  if (!(await isFolder(path))) return {};
  const root = await resolveSnapshot(path);
  const file = join(root, "kiln.json");
  const own = (await isFile(file)) ? (await readJsonObject(file)).defaults : undefined;
  const defaults = isJsonObject(own) ? own : {};
  const trained = await trainedSide(join(root, "unet", "config.json"));
  const scheduler = typeof defaults.scheduler === "string" ? { scheduler: defaults.scheduler } : {};
  return {
    ...(trained === undefined ? {} : { width: trained, height: trained }),
    ...numbers(defaults, ["width", "height", "steps", "guidanceScale"], file),
    ...scheduler,
  };
}

async function trainedSide(config: string): Promise<number | undefined> {
  if (!(await isFile(config))) return undefined;
  const { sample_size: size } = await readJsonObject(config);
  return typeof size === "number" && Number.isInteger(size) && size > 0 ? size * PIXELS_PER_LATENT : undefined;
}

type NumericDefault = Exclude<keyof CheckpointDefaults, "scheduler">;

function numbers(object: JsonObject, keys: readonly NumericDefault[], file: string): Partial<Record<NumericDefault, number>> {
  const found: Partial<Record<NumericDefault, number>> = {};
  for (const key of keys) {
    const value = object[key];
    if (value === undefined) continue;
    if (typeof value !== "number" || !(value > 0))
      throw new KilnError("file_corrupt", `defaults.${key} in ${file} must be a positive number.`, { subject: file });
    found[key] = value;
  }
  return found;
}
