import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ClipTokenizer, parsePromptAttention } from "../index.ts";
import { Fields } from "./fields.ts";

/** One text of a JSON file of cases. */
export interface TextCase {
  readonly kind: "tokenizer" | "prompt_attention";
  readonly name: string;
  /** @returns what differs, or undefined where nothing does. */
  readonly check: () => string | undefined;
}

/** The weights in these files are sums of few products in float64. */
const WEIGHT_TOLERANCE = 1e-9;

/** The texts of `cases/tokenizer.json` and `cases/prompt_attention.json`, where the folder has them. */
export function textCases(folder: string): readonly TextCase[] {
  return [
    ...read(folder, "tokenizer", (fields) => checkTokens(fields)),
    ...read(folder, "prompt_attention", (fields) => checkParts(fields)),
  ];
}

function read(folder: string, kind: TextCase["kind"], check: (fields: Fields) => string | undefined): readonly TextCase[] {
  const path = join(folder, "cases", `${kind}.json`);
  if (!existsSync(path)) return [];
  const rows: unknown = JSON.parse(readFileSync(path, "utf8"));
  if (!Array.isArray(rows)) throw new Error(`${path} should be a list`);
  return rows.map((row, i) => ({ kind, name: String(i).padStart(2, "0"), check: () => check(new Fields(row)) }));
}

/** `tokens` without frame, and the 77 ids of both tokenizers. */
function checkTokens(row: Fields): string | undefined {
  const text = row.text("text");
  const [first, second] = [ClipTokenizer.standard("clip_l"), ClipTokenizer.standard("clip_g")];
  const made: Readonly<Record<string, readonly number[]>> = {
    tokens: first.encode(text),
    ids: first.frame(first.encode(text)),
    ids_2: second.frame(second.encode(text)),
  };
  for (const [name, ids] of Object.entries(made)) {
    const expected = row.numbers(name);
    if (ids.join() !== expected.join())
      return `${name} of ${JSON.stringify(text.slice(0, 80))} are [${ids}] and not [${expected}]`;
  }
  return undefined;
}

/** `parts`: texts with their weights. */
function checkParts(row: Fields): string | undefined {
  const text = row.text("text");
  const expected = row.any("parts");
  if (!Array.isArray(expected)) return "the case has no parts";
  const made = parsePromptAttention(text);
  const same =
    made.length === expected.length &&
    made.every((part, i) => {
      const [wanted, weight]: unknown[] = Array.isArray(expected[i]) ? expected[i] : [];
      return part.text === wanted && Math.abs(part.weight - Number(weight)) <= WEIGHT_TOLERANCE;
    });
  return same
    ? undefined
    : `${JSON.stringify(text.slice(0, 80))} becomes ${JSON.stringify(made)} and not ${JSON.stringify(expected)}`;
}
