import { HARMLESS_PHRASES } from "./harmless-phrases.ts";
import { statesMinorAge } from "./minor-ages.ts";
import { MINOR_WORDS } from "./minor-words.ts";
import { type NormalisedText, normalise, withoutPhrases } from "./normalise.ts";
import { SEXUAL_WORDS } from "./sexual-words.ts";
import { finder, gluedFinder, insideFinder, phraseRemover, remover } from "./words.ts";

/** Words that name such content by themselves. */
const NAMED_WORDS: readonly string[] = [
  "loli",
  "lolis",
  "lolicon",
  "shota",
  "shotas",
  "shotacon",
  "ロリコン",
  "ショタコン",
  "child porn*",
  "child erotica",
  "kiddie porn",
  "kiddy porn",
  "pedo",
  "pedophil*",
  "paedophil*",
  "jailbait",
  "jail bait",
  "csam",
  "pthc",
  "cub porn",
];

/** Entries of a negative prompt that ask for nudity, and such as ask for somebody who is not grown up. */
const COVERING_ENTRIES: ReadonlySet<string> = new Set(
  "clothes,clothing,clothed,any clothes,wearing clothes,dressed,fully clothed,fully dressed,garments,covered,swimsuit,underwear".split(
    ",",
  ),
);
const GROWN_UP_ENTRIES: ReadonlySet<string> = new Set(
  "adult,adults,an adult,grown up,grownup,grown ups,grown woman,grown man,adult woman,adult man,over 18,18 plus,of age".split(
    ",",
  ),
);

const isNamed = finder(NAMED_WORDS);
const isMinor = finder(MINOR_WORDS);
const isMinorInside = insideFinder(MINOR_WORDS);
const isSexual = finder(SEXUAL_WORDS);
const isSexualInside = insideFinder(SEXUAL_WORDS);
const isGlued = gluedFinder(MINOR_WORDS, SEXUAL_WORDS);
const withoutHarmless = phraseRemover(HARMLESS_PHRASES);
const withoutSexual = remover(SEXUAL_WORDS);

/**
 * The rule that no setting and no file removes: whether a prompt brings minors and sexual content together. Either alone
 * passes: children in a park are a plain prompt, and adults are the operator's decision. The negative prompt counts where
 * it turns a plain prompt into such a one: a child with "clothes" in it, or a nude with "adult" in it.
 */
export function sexualisesMinors(text: NormalisedText, negativePrompt: string): boolean {
  if (isNamed(text) || isGlued(text) || hasBothInPieces(text)) return true;
  const sexual = isSexual(withoutPhrases(text, withoutHarmless));
  if (!sexual && negativePrompt === "") return false;
  // Also without the words between: a "young nude girl" is a young girl.
  const forms = [...text.forms, ...text.forms.map(withoutSexual)];
  const minor = isMinor({ ...text, forms }) || forms.some(statesMinorAge);
  if (minor && sexual) return true;
  const entries = negativePrompt.split(/[,;\n]/).flatMap((entry) => normalise(entry).forms);
  return entries.some((entry) => (minor && COVERING_ENTRIES.has(entry)) || (sexual && GROWN_UP_ENTRIES.has(entry)));
}

function hasBothInPieces({ pieces }: NormalisedText): boolean {
  return pieces.some((joined) => isMinorInside(joined) && isSexualInside(joined));
}
