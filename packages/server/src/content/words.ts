import { normalise } from "./normalise.ts";

/** Scripts without spaces between words: there a word is found anywhere. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;

/**
 * Finds whole words and phrases in normalised text, `*` at a word's end standing for any ending. One pass over the
 * text for all words: the pattern has no nested repetition, so its time is linear.
 */
export function matcher(words: readonly string[]): (text: string) => boolean {
  if (words.length === 0) return () => false;
  const pattern = new RegExp(patternOf(words), "u");
  return (text) => pattern.test(text);
}

/** Shorter words are found inside others by chance. */
const LEAST_INSIDE = 4;

/** Finds words anywhere, also inside others: for text whose words' ends are not known. */
export function insideMatcher(words: readonly string[]): (text: string) => boolean {
  const plain = words.map((word) => normalise(word).plain.replaceAll(" ", "")).filter((word) => word.length >= LEAST_INSIDE);
  return (text) => plain.some((word) => text.includes(word));
}

/** As a matcher, but takes what it finds out of the text. */
export function remover(words: readonly string[]): (text: string) => string {
  if (words.length === 0) return (text) => text;
  const pattern = new RegExp(patternOf(words), "gu");
  return (text) => text.replace(pattern, " ");
}

function patternOf(words: readonly string[]): string {
  const spaced: string[] = [];
  const unspaced: string[] = [];
  for (const word of words) {
    const open = word.endsWith("*");
    const plain = normalise(word).plain;
    if (plain === "") continue;
    if (UNSPACED.test(plain)) unspaced.push(plain);
    else spaced.push(plain + (open ? "\\p{L}*" : ""));
  }
  const parts = [...(spaced.length > 0 ? [`(?<![\\p{L}\\p{N}])(?:${spaced.join("|")})(?![\\p{L}\\p{N}])`] : []), ...unspaced];
  return parts.length > 0 ? parts.join("|") : "(?!)";
}
