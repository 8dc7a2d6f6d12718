/** Where a phrase holds the place of a colour, as in "a {c} house". */
const COLOUR_PLACE = "{c}";

/** True when the prompt holds the phrase, in whole words and any colour. */
export function hasPhrase(prompt: string, phrase: string, colours: readonly string[]): boolean {
  return pattern(phrase, colours).test(prompt);
}

/**
 * The prompt after a press on `phrase`: without it when it was there, with it in the place of another phrase of its group,
 * else with it added (a subject in front, as such prompts name it first).
 */
export function togglePhrase(
  prompt: string,
  phrase: string,
  group: readonly string[],
  colours: readonly string[],
  place: "front" | "end",
): string {
  if (hasPhrase(prompt, phrase, colours)) return tidy(prompt.replace(pattern(phrase, colours), ""), colours);
  const written = phrase.replace(COLOUR_PLACE, firstColour(prompt, colours) ?? colours[0] ?? "").replace(/\s+/g, " ");
  // The longest first: "with clouds" must not leave "a few" behind when "with a few clouds" was there.
  const other = [...group].sort((a, b) => b.length - a.length).find((known) => hasPhrase(prompt, known, colours));
  if (other !== undefined) return tidy(prompt.replace(pattern(other, colours), written), colours);
  const rest = prompt.trim();
  if (rest === "") return tidy(written, colours);
  return tidy(place === "front" ? `${written}, ${rest}` : `${rest.replace(/[,\s]+$/, "")}, ${written}`, colours);
}

/** The prompt with its first colour changed; with none in it, the colour goes in front of the first thing named. */
export function paintPrompt(prompt: string, colour: string, colours: readonly string[]): string {
  const present = firstColour(prompt, colours);
  if (present !== undefined) return tidy(prompt.replace(pattern(present, []), colour), colours);
  const start = prompt.trim();
  if (start === "") return `${colour} `;
  return tidy(/^an? /i.test(start) ? start.replace(/^(an?) /i, `$1 ${colour} `) : `${colour} ${start}`, colours);
}

function firstColour(prompt: string, colours: readonly string[]): string | undefined {
  const found = colours
    .map((colour) => ({ colour, at: prompt.search(pattern(colour, [])) }))
    .filter(({ at }) => at >= 0)
    .sort((a, b) => a.at - b.at || b.colour.length - a.colour.length);
  return found[0]?.colour;
}

function pattern(phrase: string, colours: readonly string[]): RegExp {
  const anyColour = colours.length > 0 ? `(?:${colours.map(escaped).join("|")})` : "\\p{L}+";
  // "a" and "an" stand for each other, because the colour after them decides which one is written.
  const body = phrase
    .split(COLOUR_PLACE)
    .map(escaped)
    .join(anyColour)
    .replace(/(^| )an? /g, "$1an? ");
  return new RegExp(`(?<![\\p{L}\\d])${body}(?![\\p{L}\\d])`, "iu");
}

function escaped(phrase: string): string {
  return phrase.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

/** Repairs what a change leaves: doubled commas and spaces, a comma at either end, "a orange". */
function tidy(prompt: string, colours: readonly string[]): string {
  const clean = prompt
    .replace(/\s+/g, " ")
    .replace(/\s*,(?:\s*,)+/g, ",")
    .replace(/\s+,/g, ",")
    .replace(/^[\s,]+|[\s,]+$/g, "");
  // Only before colours, which this file moves; other words' articles are the writer's own.
  if (colours.length === 0) return clean;
  return clean.replace(
    new RegExp(`\\b(a)n? (${colours.map(escaped).join("|")})\\b`, "gi"),
    (_, article: string, colour: string) => {
      return `${article}${/^[aeiou]/i.test(colour) ? "n" : ""} ${colour}`;
    },
  );
}
