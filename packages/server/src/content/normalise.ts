/** Letters that are written with digits and signs. One sign may stand for several letters; the commonest is taken. */
const LEET: Readonly<Record<string, string>> = {
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

/** The other letter that upright strokes stand for. */
const STROKES_AS_L: Readonly<Record<string, string>> = { ...LEET, "1": "l", "!": "l", "|": "l" };

/** Letters of other alphabets, and small capitals, that look like Latin letters (a part of Unicode's confusables, TR 39). */
const LOOKALIKES: Readonly<Record<string, string>> = {
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
  ᴀ: "a",
  ʙ: "b",
  ᴄ: "c",
  ᴅ: "d",
  ᴇ: "e",
  ɢ: "g",
  ʜ: "h",
  ɪ: "i",
  ᴊ: "j",
  ᴋ: "k",
  ʟ: "l",
  ᴍ: "m",
  ɴ: "n",
  ᴏ: "o",
  ᴘ: "p",
  ʀ: "r",
  ꜱ: "s",
  ᴛ: "t",
  ᴜ: "u",
  ᴠ: "v",
  ᴡ: "w",
  ʏ: "y",
  ᴢ: "z",
};

/** Pictures that are read as words. */
const PICTOGRAPHS: readonly (readonly [RegExp, string])[] = [
  [/👶/gu, " baby "],
  [/👧/gu, " little girl "],
  [/👦/gu, " little boy "],
  [/🧒/gu, " child "],
  [/🔞/gu, " nsfw "],
];

/** A prompt in the forms in which rules look at it. */
export interface NormalisedText {
  /** Lower case, in Unicode's compatibility form, without accents, invisible characters and prompt weights. Punctuation stays. */
  bare: string;
  /**
   * Lower case, without accents and invisible characters, prompt weights and separators as spaces: once with letters in
   * their own alphabet, and once for each way to read digits, signs, look-alikes and repeated letters.
   */
  forms: readonly string[];
  /** What was put together from letters that stood apart, where the ends of words are not known. */
  runs: readonly string[];
  /** What was put together from pieces of words, where chance makes words too. */
  pieces: readonly string[];
  /** Words with letters blotted out, as `n*de`. */
  masked: readonly string[];
}

/** `NormalisedText.bare` of a text. */
export function bareText(text: string): string {
  let bare = text.normalize("NFKD");
  for (const [picture, words] of PICTOGRAPHS) bare = bare.replace(picture, words);
  return (
    bare
      // Here alone an accent makes another word: niña is no Nina.
      .replace(/(?<=ni)n\u0303(?=[ao])/giu, "nn")
      .replace(/[\p{Mn}\p{Me}\p{Cf}\u115f\u1160\u3164\uffa0]/gu, "")
      .toLowerCase()
      // Attention weights of prompts, (word:1.2) and [word], are no part of the words; (age: 12) is none.
      .replace(/(?<!\baged?\s*):\s*-?\d+(?:\.\d+)?(?=\s*[)\]>])/g, " ")
  );
}

/** Takes a text's disguises off: full-width and styled letters, accents, invisible characters, signs for letters, spaced-out words. */
export function normalise(text: string): NormalisedText {
  const bare = bareText(text);
  const latin = bare.replace(/\P{ASCII}/gu, (letter) => LOOKALIKES[letter] ?? letter);
  const runs: string[] = [];
  const readAs = (signs: Readonly<Record<string, string>>, keepsCounts: boolean) =>
    joinSpacedLetters(spaced(readSigns(latin, signs, keepsCounts)), runs);
  const glued = spaced(latin.replace(/(?<=\p{L})[^\p{L}\p{N}\s]+(?=\p{L})/gu, ""));
  const read = [spaced(bare), readAs(LEET, true), readAs(STROKES_AS_L, false), glued];
  const forms = new Set([...new Set(read)].flatMap(withoutRepeats));
  return { bare, forms: [...forms], runs: [...new Set(runs)], pieces: piecesOf(spaced(latin)), masked: maskedIn(latin) };
}

/** A text without the phrases that `remove` takes out of its bare form. */
export function withoutPhrases(text: NormalisedText, remove: (bare: string) => string): NormalisedText {
  const rest = remove(text.bare);
  return rest === text.bare ? text : normalise(rest);
}

function spaced(text: string): string {
  return text.replace(/[^\p{L}\p{N}]+/gu, " ").trim();
}

function readSigns(text: string, signs: Readonly<Record<string, string>>, keepsCounts: boolean): string {
  return text.replace(/[\p{L}\p{N}@$!|+€£]+/gu, (word) => {
    if (!/[\d@$!|+€£]/.test(word)) return word;
    // In ages and counts ("14yo", "2girls", "4k") a digit is a digit.
    const isCount = keepsCounts && /^\d+\p{L}+$/u.test(word) && !/^\d\p{L}\d/u.test(word);
    return isCount || !/\p{L}/u.test(word) ? word : [...word].map((letter) => signs[letter] ?? letter).join("");
  });
}

/** No word has a letter three times in a row: "nuuude" is read with one and with two. */
function withoutRepeats(text: string): string[] {
  if (!/(\p{L})\1\1/u.test(text)) return [text];
  const shortened = ["$1", "$1$1"].map((letters) => text.replace(/(\p{L})\1{2,}/gu, letters));
  return [text, ...shortened];
}

/** "n a k e d" and "n.a.k.e.d" as one word: three single letters in a row or more. */
function joinSpacedLetters(text: string, runs: string[]): string {
  return text.replace(/(?<![\p{L}\p{N}])\p{L}(?: \p{L}){2,}(?![\p{L}\p{N}])/gu, (letters) => {
    const run = letters.replaceAll(" ", "");
    runs.push(run);
    return run;
  });
}

/** "nu de chi ld" as one word: three pieces of up to three letters in a row or more. */
function piecesOf(text: string): string[] {
  const found = text.match(/(?<![\p{L}\p{N}])\p{L}{1,3}(?: \p{L}{1,3}){2,}(?![\p{L}\p{N}])/gu) ?? [];
  return found.map((pieces) => pieces.replaceAll(" ", ""));
}

/** More of them are no prompt. */
const MAX_MASKED = 50;

function maskedIn(text: string): string[] {
  return (text.match(/(?<![\p{L}\p{N}])\p{L}{1,8}[*#%]{1,3}\p{L}{1,8}(?![\p{L}\p{N}])/gu) ?? []).slice(0, MAX_MASKED);
}
