import { z } from "zod";
import { ServiceError } from "../errors.ts";
import { generationRequestSchema } from "./request.ts";

const KNOWN_FIELDS = new Set(Object.keys(generationRequestSchema.shape));
/** Where a preset's prompt takes the request's own. */
const PLACE = "{prompt}";

/** A request without its prompt, checked when the operator's file is read: a preset that is wrong stops the start. */
export const presetSchema = z.record(z.string(), z.unknown()).superRefine((preset, context) => {
  for (const field of Object.keys(preset)) {
    if (!KNOWN_FIELDS.has(field) || field === "preset")
      context.addIssue({ code: "custom", path: [field], message: "is no field that a preset may hold" });
  }
  const parsed = generationRequestSchema.safeParse({ prompt: "-", ...preset });
  for (const { path, message } of parsed.error?.issues ?? []) context.addIssue({ code: "custom", path: [...path], message });
});

export type PresetsByName = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/**
 * The request with the fields of the preset that it names under its own. A preset's prompt takes the request's where
 * it says `{prompt}`; `output` is merged field by field. Raises `invalid_request` for a preset that is not there.
 */
export function applyPreset(input: unknown, presets: PresetsByName): unknown {
  if (typeof input !== "object" || input === null || Array.isArray(input) || !("preset" in input)) return input;
  const { preset: name, ...request } = input as Record<string, unknown>;
  if (name === undefined || name === null) return request;
  const preset = typeof name === "string" && Object.hasOwn(presets, name) ? presets[name] : undefined;
  if (!preset) {
    const known = Object.keys(presets).slice(0, 10).join(", ") || "none";
    throw new ServiceError("invalid_request", `preset: there is no "${String(name).slice(0, 200)}"; there are: ${known}.`, {
      field: "preset",
    });
  }
  return {
    ...preset,
    ...request,
    ...promptOf(preset.prompt, request.prompt),
    ...(isObject(preset.output) && isObject(request.output) ? { output: { ...preset.output, ...request.output } } : {}),
    preset: name,
  };
}

function promptOf(template: unknown, own: unknown): { prompt?: unknown } {
  if (typeof template !== "string" || !template.includes(PLACE)) return {};
  if (own !== undefined && typeof own !== "string") return { prompt: own }; // the schema refuses it by its own name
  return { prompt: template.replaceAll(PLACE, () => own ?? "").trim() };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
