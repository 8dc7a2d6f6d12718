import { type FormEvent, type RefObject, useState } from "react";
import type { ApiProblem } from "../../api/problem.ts";
import type { Model, Scheduler } from "../../api/types.ts";
import { Field } from "../../design/controls/field.tsx";
import { ChevronIcon } from "../../design/icons.tsx";
import { PromptField } from "./prompt-field.tsx";
import { SettingsFields } from "./settings-fields.tsx";
import { settingsInWords } from "./settings-in-words.ts";
import { SourceField } from "./source-field.tsx";
import type { SettingsStore } from "./use-settings.ts";
import type { SourcePicture } from "./use-source-picture.ts";
import { WordChips } from "./word-chips.tsx";
import { wordGroups } from "./word-groups.ts";
import "./compose-form.css";

export interface ComposeFormProps {
  readonly store: SettingsStore;
  readonly model: Model | undefined;
  readonly models: readonly Model[];
  readonly schedulers: readonly Scheduler[];
  readonly source: SourcePicture;
  readonly problem: ApiProblem | undefined;
  readonly sending: boolean;
  readonly prompt: RefObject<HTMLTextAreaElement | null>;
  readonly onSubmit: () => void;
  /** Absent where there is no picture to start from, or its file does not say what made it. */
  readonly onUseParameters: (() => void) | undefined;
  /** Absent when nothing on the stage can be cancelled. */
  readonly onCancel: (() => void) | undefined;
}

/** Everything that a picture is made from. */
export function ComposeForm(props: ComposeFormProps) {
  const { store, model, source, problem, prompt } = props;
  const { settings, change } = store;
  const errorOf = (field: string): string | undefined => (problem?.field === field ? problem.message : undefined);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    props.onSubmit();
  };
  return (
    <form className="compose" onSubmit={submit} noValidate aria-label="New picture">
      <PromptField
        value={settings.prompt}
        error={errorOf("prompt")}
        field={prompt}
        onChange={(text) => change({ prompt: text })}
      />
      {model !== undefined && (
        <WordChips groups={wordGroups(model.words)} prompt={settings.prompt} onChange={(text) => change({ prompt: text })} />
      )}
      <SubmitRow {...props} />
      <Field label="Negative prompt" error={errorOf("negative_prompt")}>
        {(control) => (
          <textarea
            {...control}
            rows={1}
            className="negative"
            placeholder={
              model?.negativePrompt === undefined ? "What it should not show" : `The model's own: ${model.negativePrompt}`
            }
            value={settings.negativePrompt}
            onChange={(event) => change({ negativePrompt: event.target.value })}
          />
        )}
      </Field>
      <SourceField
        source={settings.source}
        strength={settings.strength}
        busy={source.reading}
        error={source.problem ?? errorOf("image")}
        strengthError={errorOf("strength")}
        onChoose={source.take}
        onRemove={() => change({ source: null })}
        onUseParameters={props.onUseParameters}
        onStrength={(strength) => change({ strength })}
      />
      <MoreSettings {...props} errorOf={errorOf} />
    </form>
  );
}

function SubmitRow({ sending, problem, onCancel }: ComposeFormProps) {
  return (
    <div className="submit">
      {/* Beside the prompt the same words already stand in sight. */}
      {problem !== undefined && (
        <p className={problem.field === "prompt" ? "sr-only" : "submit-problem"} role="alert">
          {problem.message}
        </p>
      )}
      <div className="submit-buttons">
        <button type="submit" className="button button-main" aria-disabled={sending} aria-keyshortcuts="Control+Enter Meta+Enter">
          Generate
          <kbd>{isApple() ? "⌘" : "Ctrl"} ↵</kbd>
        </button>
        {onCancel !== undefined && (
          <button type="button" className="button" onClick={onCancel} aria-keyshortcuts="Escape">
            Cancel
            <kbd>Esc</kbd>
          </button>
        )}
      </div>
    </div>
  );
}

interface MoreSettingsProps extends ComposeFormProps {
  readonly errorOf: (field: string) => string | undefined;
}

/** The settings below the words: always open on a desk, folded into one line on a phone. */
function MoreSettings({ store, model, models, schedulers, problem, errorOf }: MoreSettingsProps) {
  const [open, setOpen] = useState(false);
  // A fault must not hide in a folded part.
  const faulty = ["model", "width", "height", "steps", "guidance_scale", "scheduler", "seed", "n"].some(
    (name) => name === problem?.field,
  );
  return (
    <section className={open || faulty ? "more more-open" : "more"} aria-label="Settings">
      <button type="button" className="more-summary" aria-expanded={open || faulty} onClick={() => setOpen(!open)}>
        <span className="more-title">Settings</span>
        <span className="more-words">{settingsInWords(store.settings, model)}</span>
        <ChevronIcon />
      </button>
      <div className="more-fields">
        <SettingsFields {...{ store, model, models, schedulers, errorOf }} />
      </div>
    </section>
  );
}

function isApple(): boolean {
  return /Mac|iPhone|iPad/.test(navigator.userAgent);
}
