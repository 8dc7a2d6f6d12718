/** A piece of a prompt and its weight. The text "BREAK" with the weight -1 is the mark where a new chunk begins. */
export interface PromptPart {
  readonly text: string;
  readonly weight: number;
}

/** True for the mark of a BREAK. Inside brackets the mark gets another weight and is plain text, as in AUTOMATIC1111. */
export function isBreak(part: PromptPart): boolean {
  return part.text === "BREAK" && part.weight === -1;
}

/** What one round bracket multiplies by; a square bracket divides by it. */
const BRACKET_FACTOR = 1.1;

/**
 * Brackets inside more brackets than this have no effect of their own. 1.1^256 is 4e10, so no picture depends on them,
 * and the time stays linear in the length of the prompt.
 */
const MAX_NESTING = 256;

/** Weights stop here: a text encoder's states are noise long before, and the number stays exact enough in float32. */
export const MAX_WEIGHT = 1e6;

/** What Python's `\s` means for text, since AUTOMATIC1111 defines the grammar by it. */
const SPACE_CLASS = String.raw`[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]`;
const SPACE = new RegExp(SPACE_CLASS);
const BREAK = /(?<![\p{L}\p{N}_])BREAK(?![\p{L}\p{N}_])/u;
/** An escape, a bracket, `:1.3)` with its number, a run of plain text, or a colon. */
const TOKEN = new RegExp(
  `${String.raw`\\[()[\]\\]|\\|[()[\]]`}|:${SPACE_CLASS}*([+-]?[.\\d]+)${SPACE_CLASS}*\\)|${String.raw`[^\\()[\]:]+|:`}`,
  "g",
);

interface OpenPart {
  text: string;
  weight: number;
}

/**
 * Parses a prompt in AUTOMATIC1111's grammar (`modules/prompt_parser.py`, `parse_prompt_attention`):
 * `(x)` multiplies the weight of x by 1.1, `[x]` divides it by 1.1, `(x:1.3)` multiplies it by 1.3, a backslash makes a
 * bracket literal, the word BREAK begins a new chunk, and a bracket that is never closed reaches to the end.
 * Neighbours of equal weight are one part. The empty prompt is one empty part.
 *
 * @returns the parts in order; weights lie within ±`MAX_WEIGHT`
 */
export function parsePromptAttention(prompt: string): PromptPart[] {
  const parts: OpenPart[] = [];
  const round: number[] = [];
  const square: number[] = [];
  const scale = (opened: readonly number[], factor: number) => {
    const start = opened.at(-1);
    if (start === undefined || opened.length > MAX_NESTING) return;
    for (const part of parts.slice(start)) part.weight *= factor;
  };
  const close = (opened: number[], factor: number) => {
    scale(opened, factor);
    opened.pop();
  };
  for (const match of prompt.matchAll(TOKEN)) {
    const token = match[0];
    const weight = match[1] === undefined ? undefined : Number(match[1]);
    if (token.startsWith("\\")) parts.push({ text: token.slice(1), weight: 1 });
    else if (token === "(") round.push(parts.length);
    else if (token === "[") square.push(parts.length);
    else if (weight !== undefined && !Number.isNaN(weight) && round.length > 0) close(round, weight);
    else if (token === ")" && round.length > 0) close(round, BRACKET_FACTOR);
    else if (token === "]" && square.length > 0) close(square, 1 / BRACKET_FACTOR);
    else pushText(parts, token);
  }
  while (round.length > 0) close(round, BRACKET_FACTOR);
  while (square.length > 0) close(square, 1 / BRACKET_FACTOR);
  return joinEqual(parts);
}

/** Adds a text, split at every BREAK; the white space around a BREAK belongs to it. */
function pushText(parts: OpenPart[], text: string): void {
  let rest = text;
  for (let match = BREAK.exec(rest); match !== null; match = BREAK.exec(rest)) {
    parts.push({ text: trimEnd(rest.slice(0, match.index)), weight: 1 });
    parts.push({ text: "BREAK", weight: -1 });
    rest = trimStart(rest.slice(match.index + match[0].length));
  }
  parts.push({ text: rest, weight: 1 });
}

function trimStart(text: string): string {
  let start = 0;
  while (start < text.length && SPACE.test(text.charAt(start))) start++;
  return text.slice(start);
}

function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && SPACE.test(text.charAt(end - 1))) end--;
  return text.slice(0, end);
}

function joinEqual(parts: readonly OpenPart[]): PromptPart[] {
  const joined: OpenPart[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    if (last !== undefined && last.weight === part.weight) last.text += part.text;
    else joined.push({ ...part });
  }
  if (joined.length === 0) joined.push({ text: "", weight: 1 });
  return joined.map(({ text, weight }) => ({ text, weight: Math.max(-MAX_WEIGHT, Math.min(MAX_WEIGHT, weight)) }));
}
