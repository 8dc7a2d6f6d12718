import type { ModelWords } from "../../api/types.ts";

export interface WordGroup {
  readonly name: string;
  readonly label: string;
  readonly phrases: readonly string[];
  readonly kind: "phrase" | "subject" | "colour";
}

/** The groups that make up most prompts, in the order in which one composes a picture, with short labels. Others follow. */
const USUAL_GROUPS: ReadonlyMap<string, string> = new Map([
  ["subjects", "Subjects"],
  ["places", "Places"],
  ["times_of_day", "Time"],
  ["sun_and_moon", "Sun, moon"],
  ["weather", "Weather"],
  ["styles", "Styles"],
]);

/** Groups that describe the others, or that are no words of the prompt. */
const NOT_OFFERED = /pattern|example|ignored|negative|synonym|subject_places|^about$/;

const COLOURS = /colou?rs?$/;
const SUBJECTS = /^(subjects?|shapes?)$/;

/** The most chips that one group shows: more than these hide the form below. */
const CHIPS_SHOWN = 14;

/** The groups of words to offer as chips: the usual ones, all others that the model has, and its colours last. */
export function wordGroups(words: ModelWords): WordGroup[] {
  const names = [...words.keys()].filter((name) => !NOT_OFFERED.test(name));
  const colours = names.filter((name) => COLOURS.test(name));
  const usual = [...USUAL_GROUPS.keys()].filter((name) => words.has(name));
  const others = names.filter((name) => !COLOURS.test(name) && !USUAL_GROUPS.has(name));
  // Several groups of colours (of shapes, of objects) are one to the person who presses: the shortest holds in all of them.
  const common = colours.sort((a, b) => (words.get(a)?.length ?? 0) - (words.get(b)?.length ?? 0)).slice(0, 1);
  return [...usual, ...others, ...common].map((name) => ({
    name,
    label: labelOf(name),
    phrases: (words.get(name) ?? []).slice(0, CHIPS_SHOWN),
    kind: COLOURS.test(name) ? "colour" : SUBJECTS.test(name) ? "subject" : "phrase",
  }));
}

/** Whole prompts that the model draws well. */
export function examplePrompts(words: ModelWords): readonly string[] {
  return words.get("examples") ?? [];
}

function labelOf(name: string): string {
  if (COLOURS.test(name)) return "Colours";
  const usual = USUAL_GROUPS.get(name);
  if (usual !== undefined) return usual;
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
