import { useId, useState } from "react";
import { hasPhrase, paintPrompt, togglePhrase } from "./prompt-words.ts";
import type { WordGroup } from "./word-groups.ts";
import "./word-chips.css";

interface WordChipsProps {
  readonly groups: readonly WordGroup[];
  readonly prompt: string;
  readonly onChange: (prompt: string) => void;
}

/** The words that the model knows, one group at a time; a press writes one into the prompt or takes it out. */
export function WordChips({ groups, prompt, onChange }: WordChipsProps) {
  const id = useId();
  const [chosen, setChosen] = useState<string>();
  const open = groups.find((group) => group.name === chosen) ?? groups[0];
  if (open === undefined) return null;
  const colours = groups.find((group) => group.kind === "colour")?.phrases ?? [];

  const press = (phrase: string): void => {
    if (open.kind === "colour") onChange(paintPrompt(prompt, phrase, colours));
    else onChange(togglePhrase(prompt, phrase, open.phrases, colours, open.kind === "subject" ? "front" : "end"));
  };

  return (
    <fieldset className="words">
      <legend className="words-legend">Words this model knows</legend>
      <div className="words-groups">
        {groups.map((group) => (
          <button
            key={group.name}
            type="button"
            className="words-group"
            aria-expanded={group === open}
            aria-controls={`${id}-chips`}
            onClick={() => setChosen(group.name)}
          >
            {group.label}
          </button>
        ))}
      </div>
      <div className="words-chips" id={`${id}-chips`}>
        {open.phrases.map((phrase) => (
          <button
            key={phrase}
            type="button"
            className="chip"
            aria-pressed={hasPhrase(prompt, phrase, colours)}
            onClick={() => press(phrase)}
          >
            {phrase.replace("{c} ", "")}
          </button>
        ))}
      </div>
    </fieldset>
  );
}
