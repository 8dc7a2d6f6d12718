import type { RefObject } from "react";
import { Field } from "../../design/controls/field.tsx";
import { LIMITS } from "./settings.ts";

interface PromptFieldProps {
  readonly value: string;
  readonly error: string | undefined;
  readonly field: RefObject<HTMLTextAreaElement | null>;
  readonly onChange: (prompt: string) => void;
}

export function PromptField({ value, error, field, onChange }: PromptFieldProps) {
  return (
    <Field label="Prompt" error={error}>
      {(control) => (
        <textarea
          {...control}
          ref={field}
          className="prompt"
          rows={3}
          maxLength={LIMITS.promptCharacters}
          placeholder="What should the picture show?"
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}
