import { Field } from "./field.tsx";
import { NumberInput } from "./number-input.tsx";

interface SliderFieldProps {
  readonly label: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  /** Where the track ends, when typing may go further than a slider is useful. */
  readonly trackMax?: number;
  readonly hint?: string | undefined;
  readonly error?: string | undefined;
  readonly onChange: (value: number) => void;
}

/** A value by hand or by number: the slider for the usual range, the number for all of it. */
export function SliderField({ label, value, min, max, step, trackMax = max, hint, error, onChange }: SliderFieldProps) {
  const part = Math.min(1, Math.max(0, (value - min) / (trackMax - min)));
  return (
    <Field
      label={label}
      hint={hint}
      error={error}
      aside={<NumberInput label={`${label}, as a number`} value={value} min={min} max={max} step={step} onChange={onChange} />}
    >
      {(control) => (
        <input
          {...control}
          className="slider"
          type="range"
          min={min}
          max={trackMax}
          step={step}
          value={Math.min(trackMax, value)}
          style={{ "--part": part }}
          onChange={(event) => onChange(Number(event.target.value))}
        />
      )}
    </Field>
  );
}
