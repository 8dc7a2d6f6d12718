import { bareText, type NormalisedText } from "./normalise.ts";

/** Scripts without spaces between words: there a word of two letters or more is found anywhere. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}]/u;
/** Words of katakana are told from the longer ones that they are a part of: all of those are written in it too. */
const KATAKANA = /^[\p{Script=Katakana}ー]+$/u;

const WORD_START = "(?<![\\p{L}\\p{N}])";
const WORD_END = "(?![\\p{L}\\p{N}])";

/** Shorter words are found inside others by chance. */
const LEAST_INSIDE = 4;
const LEAST_GLUED = 3;

/**
 * Finds whole words and phrases, `*` at a word's end standing for any ending, in every form of a text. One pass for all
 * words: the pattern has no nested repetition, so its time is linear.
 */
export function finder(words: readonly string[]): (text: NormalisedText) => boolean {
  if (words.length === 0) return () => false;
  const pattern = new RegExp(patternOf(words), "u");
  const isInside = insideFinder(words);
  const isMasked = maskedFinder(words);
  return ({ forms, runs, masked }) => forms.some((form) => pattern.test(form)) || runs.some(isInside) || masked.some(isMasked);
}

/** Takes words and phrases out of a form. */
export function remover(words: readonly string[]): (form: string) => string {
  const pattern = new RegExp(patternOf(words), "gu");
  return (form) => form.replace(pattern, " ").replace(/ +/g, " ");
}

/** Takes phrases out of a text that still has its punctuation, so that "nude, heels" is not "nude heels". */
export function phraseRemover(phrases: readonly string[]): (bare: string) => string {
  if (phrases.length === 0) return (bare) => bare;
  const patterns = phrases.map((phrase) => stemOf(phrase).replaceAll(" ", "[\\s-]+") + endingOf(phrase));
  const pattern = new RegExp(`${WORD_START}(?:${patterns.join("|")})${WORD_END}`, "gu");
  return (bare) => bare.replace(pattern, " ");
}

/** Finds words anywhere, also inside others: for text whose words' ends are not known. */
export function insideFinder(words: readonly string[]): (text: string) => boolean {
  const stems = stemsOf(words, LEAST_INSIDE);
  return (text) => stems.some((stem) => text.includes(stem));
}

/** Finds a word of one list and a word of the other that are written as one. */
export function gluedFinder(one: readonly string[], other: readonly string[]): (text: NormalisedText) => boolean {
  const [first, second] = [one, other].map((words) => stemsOf(words, LEAST_GLUED).join("|"));
  const pattern = new RegExp(`${WORD_START}(?:(?:${first})(?:${second})|(?:${second})(?:${first}))${WORD_END}`, "u");
  return ({ forms }) => forms.some((form) => pattern.test(form));
}

/** Tells whether a word with letters blotted out is one of these. */
function maskedFinder(words: readonly string[]): (masked: string) => boolean {
  const stems = stemsOf(words, LEAST_GLUED);
  return (masked) => {
    const pattern = masked.replace(/[*#%]+/g, (signs) => `\\p{L}{1,${signs.length + 1}}`);
    const isIt = new RegExp(`^${pattern}$`, "u");
    return stems.some((stem) => isIt.test(stem));
  };
}

function stemsOf(words: readonly string[], least: number): string[] {
  return words.map((word) => stemOf(word).replaceAll(" ", "")).filter((stem) => stem.length >= least);
}

function patternOf(words: readonly string[]): string {
  const whole: string[] = [];
  const anywhere: string[] = [];
  for (const word of words) {
    const stem = stemOf(word);
    if (stem === "") continue;
    if (KATAKANA.test(stem)) anywhere.push(`(?<![\\p{Script=Katakana}ー])${stem}(?![\\p{Script=Katakana}ー])`);
    else if (UNSPACED.test(stem) && stem.length > 1) anywhere.push(stem);
    else whole.push(stem + endingOf(word));
  }
  const parts = [...(whole.length > 0 ? [`${WORD_START}(?:${whole.join("|")})${WORD_END}`] : []), ...anywhere];
  return parts.length > 0 ? parts.join("|") : "(?!)";
}

function stemOf(word: string): string {
  return bareText(word)
    .replace(/[^\p{L}\p{N}]+/gu, " ")
    .trim();
}

function endingOf(word: string): string {
  return word.endsWith("*") ? "\\p{L}*" : "";
}
