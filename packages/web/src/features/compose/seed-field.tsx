import { Field } from "../../design/controls/field.tsx";
import { IconButton } from "../../design/controls/icon-button.tsx";
import { DiceIcon, LockIcon, UnlockIcon } from "../../design/icons.tsx";
import { drawSeed, seedFault } from "./settings.ts";

interface SeedFieldProps {
  readonly seed: string;
  readonly locked: boolean;
  readonly error: string | undefined;
  readonly onChange: (seed: string, locked: boolean) => void;
}

/** The number that a picture starts from: drawn anew for each, or kept. */
export function SeedField({ seed, locked, error, onChange }: SeedFieldProps) {
  const type = (typed: string): void => {
    const digits = typed.trim();
    onChange(digits, digits !== "");
  };
  const turnLock = (): void => onChange(locked || seed !== "" ? seed : drawSeed(), !locked);
  return (
    <Field
      label="Seed"
      error={seedFault(seed) ?? error}
      hint={locked ? "Kept: the same settings give the same picture." : "A new one for every picture."}
    >
      {(control) => (
        <div className={locked ? "joined seed" : "joined seed seed-open"}>
          <input
            {...control}
            type="text"
            inputMode="numeric"
            autoComplete="off"
            spellCheck={false}
            placeholder="Random"
            value={seed}
            onChange={(event) => type(event.target.value)}
          />
          <IconButton label="Draw a seed and keep it" icon={<DiceIcon />} onPress={() => onChange(drawSeed(), true)} />
          <IconButton
            label={locked ? "Let the seed change" : "Keep this seed"}
            icon={locked ? <LockIcon /> : <UnlockIcon />}
            pressed={locked}
            onPress={turnLock}
          />
        </div>
      )}
    </Field>
  );
}
