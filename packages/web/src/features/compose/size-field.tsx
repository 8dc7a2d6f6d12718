import { useId } from "react";
import { IconButton } from "../../design/controls/icon-button.tsx";
import { NumberInput } from "../../design/controls/number-input.tsx";
import { SwapIcon } from "../../design/icons.tsx";
import { LIMITS, type Size } from "./settings.ts";
import { type SizePreset, sizePresets } from "./sizes.ts";
import "./size-field.css";

interface SizeFieldProps {
  readonly size: Size;
  /** The size that the model was trained on. */
  readonly own: Size;
  readonly error: string | undefined;
  readonly onChange: (size: Size) => void;
}

/** Five shapes of the model's own area, and any other size by number. */
export function SizeField({ size, own, error, onChange }: SizeFieldProps) {
  const id = useId();
  const presets = sizePresets(own);
  const { min, max, step } = LIMITS.side;
  return (
    <fieldset className="field size" aria-describedby={error === undefined ? undefined : `${id}-note`}>
      <div className="field-head">
        <legend className="field-label">Size</legend>
        <div className="size-numbers">
          <NumberInput
            label="Width in pixels"
            value={size.width}
            {...{ min, max, step }}
            aria-invalid={error === undefined ? undefined : true}
            onChange={(width) => onChange({ ...size, width })}
          />
          <IconButton
            label="Swap width and height"
            icon={<SwapIcon />}
            onPress={() => onChange({ width: size.height, height: size.width })}
          />
          <NumberInput
            label="Height in pixels"
            value={size.height}
            {...{ min, max, step }}
            aria-invalid={error === undefined ? undefined : true}
            onChange={(height) => onChange({ ...size, height })}
          />
        </div>
      </div>
      <div className="size-presets">
        {presets.map((preset) => (
          <label key={preset.name} className="size-preset" title={`${preset.label}: ${preset.width} × ${preset.height}`}>
            <input
              type="radio"
              name={id}
              checked={preset.width === size.width && preset.height === size.height}
              onChange={() => onChange({ width: preset.width, height: preset.height })}
            />
            <Outline preset={preset} />
            <span className="sr-only">
              {preset.label}, {preset.width} by {preset.height}
            </span>
          </label>
        ))}
      </div>
      {error !== undefined && (
        <p className="field-error" id={`${id}-note`}>
          {error}
        </p>
      )}
    </fieldset>
  );
}

/** The preset's own proportions, drawn. */
function Outline({ preset }: { readonly preset: SizePreset }) {
  const longest = Math.max(preset.width, preset.height);
  const width = (20 * preset.width) / longest;
  const height = (20 * preset.height) / longest;
  return (
    <svg className="size-outline" viewBox="0 0 24 24" aria-hidden="true">
      <rect x={12 - width / 2} y={12 - height / 2} width={width} height={height} rx="2" />
    </svg>
  );
}
