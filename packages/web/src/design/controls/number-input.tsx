import { useState } from "react";
import type { FieldControl } from "./field.tsx";

interface NumberInputProps extends Partial<FieldControl> {
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly label?: string;
  readonly onChange: (value: number) => void;
}

/** A number typed freely and taken when it is whole: within its limits at once, else brought within them when the field is left. */
export function NumberInput({ value, min, max, step, label, onChange, ...control }: NumberInputProps) {
  const [draft, setDraft] = useState<string>();

  const take = (typed: string): void => {
    setDraft(typed);
    const number = Number(typed);
    if (typed.trim() !== "" && number >= min && number <= max && onGrid(number, step)) onChange(number);
  };
  const leave = (): void => {
    const number = Number(draft);
    if (draft !== undefined && draft.trim() !== "" && Number.isFinite(number)) {
      onChange(Math.min(max, Math.max(min, toGrid(number, step))));
    }
    setDraft(undefined);
  };

  return (
    <input
      {...control}
      className="number"
      type="number"
      inputMode="decimal"
      aria-label={label}
      min={min}
      max={max}
      step={step}
      value={draft ?? value}
      onChange={(event) => take(event.target.value)}
      onBlur={leave}
    />
  );
}

function toGrid(number: number, step: number): number {
  // Two digits are all that any of the steps has; without the rounding 0.1 * 3 shows as 0.30000000000000004.
  return Number((Math.round(number / step) * step).toFixed(2));
}

function onGrid(number: number, step: number): boolean {
  return Math.abs(toGrid(number, step) - number) < 1e-9;
}
