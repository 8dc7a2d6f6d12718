import { readFileSync } from "node:fs";
import { z } from "zod";
import { codeOf, messageOf } from "../errors.ts";
import { wordsOfIssue } from "../issue-words.ts";
import { HARMLESS_PHRASES } from "./harmless-phrases.ts";

/** Words are whole words or phrases, in lower case; a `*` at the end stands for any ending. */
const words = z.array(
  z
    .string()
    .max(100)
    // A Chinese word may be one character; a single letter would be a mistake that refuses nearly everything.
    .refine((word) => word.length > 1 || word > "\u2e7f", "must have at least 2 letters"),
);

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
        "nakedness",
        "nekkid",
        "topless",
        "bottomless",
        "undressed",
        "undressing",
        "unclothed",
        "disrobed",
        "without clothes",
        "no clothes",
        "wearing nothing",
        "clothes off",
        "birthday suit",
        "in the buff",
        "nsfw",
        "erotic*",
        "lewd",
        "ecchi",
        "striptease",
        "bare breasts",
        "exposed breasts",
        "bare bottom",
        "boobs",
        "tits",
        "nipples",
        "areola*",
        "pubic",
        "nudis*",
        "lingerie model undressing",
        "desnud*",
        "nackt*",
        "naakt*",
        "nue integrale",
        "nu integral",
        "femme nue",
        "homme nu",
        "donna nuda",
        "uomo nudo",
        "mulher nua",
        "homem nu",
        "nuda integrale",
        "голая",
        "голый",
        "голые",
        "голую",
        "обнажен*",
        "çıplak",
        "裸",
        "裸体",
        "全裸",
        "裸の",
        "裸女",
        "ヌード",
        "나체",
        "누드",
        "알몸",
        "عارية",
        "नग्न",
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
        "r18",
        "rule34",
        "rule 34",
        "genital*",
        "penis",
        "vagina",
        "vulva",
        "pussy",
        "intercourse",
        "cunnilingus",
        "masturbat*",
        "ejaculat*",
        "orgasm*",
        "orgy",
        "orgies",
        "threesome",
        "blowjob",
        "blow job",
        "handjob",
        "hand job",
        "cum",
        "cumshot",
        "fellatio",
        "anal",
        "bdsm",
        "dildo*",
        "spread legs",
        "legs spread",
        "spreading legs",
        "sexo",
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
  allowed: [...HARMLESS_PHRASES],
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
  throw new Error(`${path}: ${issue?.path.join(".")}: ${issue ? wordsOfIssue(issue) : "is not valid"}.`);
}
