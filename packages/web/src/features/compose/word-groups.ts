import type { ModelWords } from "../../api/types.ts";

export interface WordGroup {
  readonly name: string;
  readonly label: string;
  readonly phrases: readonly string[];
  readonly kind: "phrase" | "subject" | "colour";
}

/** Groups that describe the others, or that are no words of the prompt. */
const NOT_OFFERED = /pattern|example|ignored|negative|synonym|subject_places|^about$/;

/** Shorter than the model's own names, so that the row of groups stays one row. */
const SHORT_LABELS: Readonly<Record<string, string>> = { times_of_day: "Time", sun_and_moon: "Sun, moon" };

/** The most chips that one group shows: more than these hide the form below. */
const CHIPS_SHOWN = 14;

/** The groups of words to offer as chips, in the model's order, with its colours last. */
export function wordGroups(words: ModelWords): WordGroup[] {
  const groups = [...words]
    .filter(([name]) => !NOT_OFFERED.test(name))
    .map(
      ([name, phrases]): WordGroup => ({
        name,
        label: labelOf(name),
        phrases: phrases.slice(0, CHIPS_SHOWN),
        kind: kindOf(name),
      }),
    );
  const colours = groups.filter((group) => group.kind === "colour");
  // Several groups of colours (of shapes, of objects) are one to the person who presses: the longest covers the others.
  const longest = colours.sort((a, b) => b.phrases.length - a.phrases.length).slice(0, 1);
  return [...groups.filter((group) => group.kind !== "colour"), ...longest.map((group) => ({ ...group, label: "Colours" }))];
}

/** Whole prompts that the model draws well. */
export function examplePrompts(words: ModelWords): readonly string[] {
  return words.get("examples") ?? [];
}

function kindOf(name: string): WordGroup["kind"] {
  if (/colou?rs?$/.test(name)) return "colour";
  return /^(subjects?|shapes?)$/.test(name) ? "subject" : "phrase";
}

function labelOf(name: string): string {
  const short = SHORT_LABELS[name];
  if (short !== undefined) return short;
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
