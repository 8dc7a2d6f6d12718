import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { codeOf, messageOf } from "../errors.ts";
import { wordsOfIssue } from "../issue-words.ts";
import { presetSchema } from "../jobs/preset.ts";
import { modelOverridesSchema } from "./overrides.ts";

const loraSet = z.array(z.object({ name: z.string().min(1), weight: z.number().min(-4).max(4).default(1) })).max(8);

/** The operator's file: other names for models, named LoRA sets, prompts of the views, and requests with a name. */
export const presetsSchema = z.object({
  $schema: z.string().optional(),
  /** Other names for models, for example a hub id that an application sends. */
  aliases: z.record(z.string(), z.string()).default({}),
  /** Named requests: the fields are defaults for requests that name the preset. */
  presets: z.record(z.string(), presetSchema).default({}),
  /** Themes ("eras" of the depth contract): sets of LoRAs with weights. */
  themes: z.record(z.string(), z.object({ loras: loraSet.default([]), prompt: z.string().optional() })).default({}),
  /** Scenarios of the views contract. */
  scenarios: z.record(z.string(), z.object({ description: z.string(), strength: z.number().min(0).max(1) })).default({}),
  /** Everything else of the views' prompts. */
  views: z
    .object({
      regions: z.array(z.string()),
      quality: z.string(),
      identity: z.string(),
      negative: z.string(),
      rear: z.string(),
      side: z.string(),
    })
    .optional(),
  /** Templates of the queue contract, by tier of its level: below 30, 60, 85, and the rest. `{prompt}` is the request's. */
  tiers: z.array(z.object({ below: z.number(), template: z.string() })).default([]),
  /** Negative prompt for faces whose requests bring none. */
  negative_prompt: z.string().default(""),
  /** Defaults by model, over those of its files; a few-step LoRA's recipe can be set too. */
  models: z.record(z.string(), modelOverridesSchema).default({}),
});

export type Presets = z.output<typeof presetsSchema>;

/** What is shipped. The operator's file replaces it key by key. */
export const DEFAULT_PRESETS: z.input<typeof presetsSchema> = {
  aliases: {},
  themes: {
    wilderness: { loras: [] },
    pre_industrial: { loras: [] },
    future: { loras: [] },
    drone: { loras: [] },
    experimance: { loras: [] },
  },
  scenarios: {
    "projection-level-1": { description: "subtle change, natural proportions", strength: 0.35 },
    "projection-level-2": { description: "moderate change, natural proportions", strength: 0.5 },
    "projection-level-3": { description: "pronounced change, natural proportions", strength: 0.65 },
  },
  views: {
    regions: ["gluteal"],
    quality: "professional medical photograph, neutral studio light, high detail, realistic skin",
    identity: "same person, same body type, same skin tone, same clothing",
    negative: "nudity, nsfw, deformed, extra limbs, blurry, low quality, text, watermark",
    rear: "posterior view, seen from the back",
    side: "lateral view, seen in profile",
  },
  tiers: [],
  negative_prompt: "",
};

/**
 * The shipped presets with the operator's over them: the file that the setting names, else `presets.json` in the data
 * folder where there is one. Raises an Error that names the file and the field.
 */
export function loadPresets(named: string | undefined, dataDir: string): Presets {
  const path = named ?? join(dataDir, "presets.json");
  let content: unknown = {};
  try {
    content = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (named !== undefined || codeOf(error) !== "ENOENT") throw new Error(`${path} cannot be read as JSON: ${messageOf(error)}`);
  }
  const parsed = presetsSchema.safeParse({ ...DEFAULT_PRESETS, ...(typeof content === "object" ? content : {}) });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Error(`${path}: ${issue?.path.join(".")}: ${issue ? wordsOfIssue(issue) : "is not valid"}.`);
}
