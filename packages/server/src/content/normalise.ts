/** Letters that are written with digits and signs. One sign may stand for several letters; the commonest is taken. */
const LEET: Record<string, string> = {
  "0": "o",
  "1": "i",
  "3": "e",
  "4": "a",
  "5": "s",
  "7": "t",
  "8": "b",
  "9": "g",
  "@": "a",
  $: "s",
  "!": "i",
  "|": "i",
  "+": "t",
  "€": "e",
  "£": "l",
};

/** Letters of other alphabets that look like Latin ones (a part of Unicode's confusables, TR 39). */
const LOOKALIKES: Record<string, string> = {
  а: "a",
  в: "b",
  е: "e",
  о: "o",
  р: "p",
  с: "c",
  у: "y",
  х: "x",
  і: "i",
  ѕ: "s",
  ј: "j",
  ԁ: "d",
  һ: "h",
  к: "k",
  м: "m",
  т: "t",
  н: "h",
  г: "r",
  п: "n",
  α: "a",
  β: "b",
  ε: "e",
  ι: "i",
  κ: "k",
  ν: "v",
  ο: "o",
  ρ: "p",
  τ: "t",
  υ: "u",
  χ: "x",
  η: "n",
  ı: "i",
  ɑ: "a",
  ɡ: "g",
  ł: "l",
  ø: "o",
  ß: "ss",
  æ: "ae",
  œ: "oe",
};

/** A prompt in the forms in which rules look at it. */
export interface NormalisedText {
  /** Lower case, without accents and invisible characters, prompt weights and separators as spaces. Letters keep their alphabet. */
  plain: string;
  /** Also with digits, signs and look-alikes read as Latin letters, and letters that stand apart put together. */
  folded: string;
  /** What was put together from letters that stood apart, where the ends of words are not known. */
  runs: string[];
}

/** Takes a text's disguises off: full-width and styled letters, accents, invisible characters, signs for letters, spaced-out words. */
export function normalise(text: string): NormalisedText {
  const bare = text
    .normalize("NFKD")
    .replace(/[\p{Mn}\p{Me}\p{Cf}\u115f\u1160\u3164\uffa0]/gu, "")
    .toLowerCase()
    // Attention weights of prompts, (word:1.2) and [word], are no part of the words.
    .replace(/:\s*-?\d+(?:\.\d+)?(?=\s*[)\]>])/g, " ");
  const plain = bare.replace(/[^\p{L}\p{N}]+/gu, " ").trim();
  const replaced = [...bare].map((letter) => LOOKALIKES[letter] ?? letter).join("");
  const unleeted = replaced.replace(/[\p{L}\p{N}@$!|+€£]+/gu, (word) => (/\p{L}/u.test(word) ? unleet(word) : word));
  const runs: string[] = [];
  const folded = joinSpacedLetters(unleeted.replace(/[^\p{L}\p{N}]+/gu, " ").trim(), runs);
  return { plain, folded, runs };
}

/** Ages and counts ("14yo", "2girls", "4k") keep their digits: there a digit is a digit. */
function unleet(word: string): string {
  if (/^\d+(?:\p{L}+)$/u.test(word) && !/^\d\p{L}\d/u.test(word)) return word;
  return [...word].map((letter) => LEET[letter] ?? letter).join("");
}

/** "n a k e d" and "n.a.k.e.d" as one word: three single letters in a row or more. */
function joinSpacedLetters(text: string, runs: string[]): string {
  return text.replace(/(?<![\p{L}\p{N}])\p{L}(?: \p{L}){2,}(?![\p{L}\p{N}])/gu, (letters) => {
    const run = letters.replaceAll(" ", "");
    runs.push(run);
    return run;
  });
}
