import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { isJsonObject, type JsonObject } from "../checkpoint/json.ts";
import { KilnError } from "../errors.ts";
import { type ClipVocabulary, parseMerges, type SpecialToken } from "./clip-vocabulary.ts";

/** The real files have 1 to 4 MB; more is no CLIP vocabulary and would only fill the memory. */
const MAX_TOKENIZER_FILE_BYTES = 32 * 1024 * 1024;

/**
 * Reads a diffusers `tokenizer` folder: `tokenizer.json` where there is one, else `vocab.json` and `merges.txt`;
 * more tokens from `added_tokens.json`, the special tokens from `tokenizer_config.json` and `special_tokens_map.json`,
 * which may all be missing.
 *
 * @throws KilnError `file_not_found` where a file is missing, `file_corrupt` where one is not what its name says.
 */
export function readTokenizerFolder(folder: string): ClipVocabulary {
  const config = readJson(join(folder, "tokenizer_config.json")) ?? {};
  const map = readJson(join(folder, "special_tokens_map.json")) ?? {};
  const { tokens, merges, added } = readModel(folder);
  const named = new Map<string, SpecialToken>();
  for (const token of [...added, ...extraTokens(folder), ...decoderTokens(config)]) named.set(token.content, token);

  const role = (name: string, fallback: string): string => tokenText(map[name] ?? config[name]) ?? fallback;
  const eosText = role("eos_token", "<|endoftext|>");
  const texts = {
    bos_token: role("bos_token", "<|startoftext|>"),
    eos_token: eosText,
    unk_token: role("unk_token", eosText),
    pad_token: role("pad_token", eosText),
  };
  const idOf = (text: string): number => {
    const id = tokens.get(text) ?? named.get(text)?.id;
    if (id !== undefined) return id;
    throw new KilnError(
      "file_corrupt",
      `The tokenizer in ${folder} names the special token "${text}", which its vocabulary lacks; fetch the folder again.`,
      {
        subject: folder,
      },
    );
  };
  const listed = new Set(named.keys());
  // A special token that no list describes has its flags in its role, and the last role that names it wins, as in transformers.
  for (const [name, content] of Object.entries(texts)) {
    if (listed.has(content)) continue;
    named.set(content, { content, id: idOf(content), normalized: isNormalized(map[name] ?? config[name]) });
  }
  return {
    tokens,
    merges,
    specialTokens: [...named.values()],
    bos: idOf(texts.bos_token),
    eos: idOf(texts.eos_token),
    pad: idOf(texts.pad_token),
    unknown: texts.unk_token,
  };
}

interface Model {
  readonly tokens: Map<string, number>;
  readonly merges: string[];
  readonly added: readonly SpecialToken[];
}

function readModel(folder: string): Model {
  const file = join(folder, "tokenizer.json");
  const whole = readJson(file);
  if (whole !== undefined) {
    const model = isJsonObject(whole.model) ? whole.model : {};
    return {
      tokens: vocabularyOf(model.vocab, file),
      merges: mergesOf(model.merges, file),
      added: addedTokens(whole.added_tokens),
    };
  }
  const vocabulary = join(folder, "vocab.json");
  const merges = join(folder, "merges.txt");
  const json = readJson(vocabulary);
  const text = readText(merges);
  if (json === undefined || text === undefined) {
    const missing = json === undefined ? vocabulary : merges;
    throw new KilnError(
      "file_not_found",
      `The tokenizer file ${missing} is missing; a tokenizer folder needs vocab.json and merges.txt.`,
      {
        subject: missing,
      },
    );
  }
  return { tokens: vocabularyOf(json, vocabulary), merges: mergesOf(parseMerges(text), merges), added: [] };
}

function vocabularyOf(value: unknown, file: string): Map<string, number> {
  if (!isJsonObject(value)) throw corrupt(file, "has no vocabulary");
  const tokens = new Map<string, number>();
  for (const [token, id] of Object.entries(value)) {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0)
      throw corrupt(file, `gives the token ${JSON.stringify(token)} no whole number`);
    tokens.set(token, id);
  }
  return tokens;
}

/** Merges are "left right" in older files and [left, right] in newer ones. */
function mergesOf(value: unknown, file: string): string[] {
  if (!Array.isArray(value)) throw corrupt(file, "has no merges");
  return value.map((item: unknown) => {
    const pair = typeof item === "string" ? item.split(" ") : item;
    if (Array.isArray(pair) && pair.length === 2 && typeof pair[0] === "string" && typeof pair[1] === "string")
      return `${pair[0]} ${pair[1]}`;
    throw corrupt(file, `holds ${JSON.stringify(item).slice(0, 60)}, which is no pair of tokens`);
  });
}

function addedTokens(value: unknown): SpecialToken[] {
  return Array.isArray(value) ? value.flatMap((item: unknown) => (isJsonObject(item) ? specialToken(item.id, item) : [])) : [];
}

/** Tokens that training added to the vocabulary: text to id. They are no special tokens, so capitals do not matter. */
function extraTokens(folder: string): SpecialToken[] {
  const extra = readJson(join(folder, "added_tokens.json")) ?? {};
  return Object.entries(extra).flatMap(([content, id]) => specialToken(id, { content, normalized: true }));
}

function decoderTokens(config: JsonObject): SpecialToken[] {
  const decoder = config.added_tokens_decoder;
  return isJsonObject(decoder) ? Object.entries(decoder).flatMap(([id, item]) => specialToken(Number(id), item)) : [];
}

function specialToken(id: unknown, item: unknown): SpecialToken[] {
  const content = tokenText(item);
  if (content === undefined || content === "" || typeof id !== "number" || !Number.isInteger(id) || id < 0) return [];
  return [{ content, id, normalized: isNormalized(item) }];
}

function tokenText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return isJsonObject(value) && typeof value.content === "string" ? value.content : undefined;
}

function isNormalized(value: unknown): boolean {
  return isJsonObject(value) && value.normalized === true;
}

function readJson(file: string): JsonObject | undefined {
  const text = readText(file);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw corrupt(file, "is not JSON", cause);
  }
  if (!isJsonObject(value)) throw corrupt(file, "is not a JSON object");
  return value;
}

function readText(file: string): string | undefined {
  try {
    const info = statSync(file);
    if (!info.isFile()) throw corrupt(file, "is not a regular file");
    const { size } = info;
    if (size > MAX_TOKENIZER_FILE_BYTES)
      throw corrupt(file, `has ${size} bytes, more than the ${MAX_TOKENIZER_FILE_BYTES} that a CLIP tokenizer can need`);
    return readFileSync(file, "utf8");
  } catch (cause) {
    if (cause instanceof KilnError) throw cause;
    if (cause instanceof Error && "code" in cause && (cause.code === "ENOENT" || cause.code === "ENOTDIR")) return undefined;
    throw new KilnError("file_not_found", `The tokenizer file ${file} cannot be read; check its permissions.`, {
      subject: file,
      cause,
    });
  }
}

function corrupt(file: string, fault: string, cause?: unknown): KilnError {
  return new KilnError("file_corrupt", `The tokenizer file ${file} ${fault}; fetch it again.`, { subject: file, cause });
}
