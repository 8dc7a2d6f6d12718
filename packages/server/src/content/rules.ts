import { readFileSync } from "node:fs";
import { z } from "zod";
import { codeOf, messageOf } from "../errors.ts";

/** Words are whole words or phrases, in lower case; a `*` at the end stands for any ending. */
const words = z.array(z.string().min(2).max(100));

export const rulesSchema = z.object({
  $schema: z.string().optional(),
  /** Sexual or nude content of adults, with the ceiling from which it is allowed: 0 never needs one. */
  adult: z.array(z.object({ ceiling: z.int().min(1).max(100), words })).default([]),
  /** Whatever else the operator refuses, at any ceiling. */
  refused: z.array(z.object({ reason: z.string().min(1).max(200), words })).default([]),
  /** Phrases in which the words above mean something else. */
  allowed: words.default([]),
});

export type ContentRules = z.output<typeof rulesSchema>;

/** What is shipped; the operator's file replaces it list by list. */
export const DEFAULT_RULES: ContentRules = {
  adult: [
    {
      ceiling: 50,
      words: [
        "nude",
        "nudes",
        "nudity",
        "naked",
        "topless",
        "bottomless",
        "undressed",
        "nsfw",
        "erotic*",
        "lingerie model undressing",
        "desnud*",
        "nackt*",
        "nue intégrale",
        "nu intégral",
        "nuda integrale",
        "голая",
        "голый",
        "обнажен*",
        "裸体",
        "全裸",
        "ヌード",
        "나체",
        "nudist*",
      ],
    },
    {
      ceiling: 90,
      words: [
        "sex",
        "sexual*",
        "sexy pose nude",
        "porn*",
        "hentai",
        "xxx",
        "explicit nsfw",
        "genital*",
        "penis",
        "vagina",
        "vulva",
        "intercourse",
        "masturbat*",
        "orgasm*",
        "blowjob",
        "cumshot",
        "fellatio",
        "sexo",
        "porno*",
        "порно*",
        "секс",
        "セックス",
        "性交",
        "色情",
        "섹스",
        "포르노",
      ],
    },
  ],
  refused: [],
  allowed: [
    "sex and the city",
    "same sex",
    "opposite sex",
    "unisex",
    "middlesex",
    "sussex",
    "essex",
    "naked eye",
    "naked mole rat",
    "nude lipstick",
    "nude heels",
    "nude tones",
    "nude color",
    "nude colour",
    "naked juice",
    "naked cake",
    "sexual selection",
    "sexual dimorphism",
  ],
};

/**
 * The operator's rules over the shipped ones. A file that is not there is no file, unless a setting names it.
 * Raises an Error that names the file and the field.
 */
export function loadRules(path: string, required: boolean): ContentRules {
  let content: unknown = {};
  try {
    content = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (required || codeOf(error) !== "ENOENT") throw new Error(`The content rules ${path} cannot be read: ${messageOf(error)}`);
  }
  const parsed = rulesSchema.safeParse({ ...DEFAULT_RULES, ...(typeof content === "object" ? content : {}) });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Error(`${path}: ${issue?.path.join(".")}: ${issue?.message}`);
}
