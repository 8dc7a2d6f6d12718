import { useRef } from "react";
import { IconButton } from "../../design/controls/icon-button.tsx";
import { SliderField } from "../../design/controls/slider-field.tsx";
import { CloseIcon, PictureIcon, ReuseIcon } from "../../design/icons.tsx";
import type { SourceImage } from "./settings.ts";
import "./source-field.css";

interface SourceFieldProps {
  readonly source: SourceImage | null;
  readonly strength: number;
  readonly busy: boolean;
  readonly error: string | undefined;
  readonly strengthError: string | undefined;
  readonly onChoose: (picture: File) => void;
  readonly onRemove: () => void;
  /** Absent where the picture's file does not say what made it. */
  readonly onUseParameters: (() => void) | undefined;
  readonly onStrength: (strength: number) => void;
}

/** The picture to start from, if any, and how far to go from it. */
export function SourceField(props: SourceFieldProps) {
  const { source, strength, busy, error, strengthError, onChoose, onRemove, onUseParameters, onStrength } = props;
  const input = useRef<HTMLInputElement>(null);
  return (
    <div className="source">
      <input
        ref={input}
        className="sr-only"
        type="file"
        tabIndex={-1}
        aria-label="Choose a picture to start from"
        accept="image/png,image/jpeg,image/webp"
        onChange={(event) => {
          const picture = event.target.files?.[0];
          if (picture !== undefined) onChoose(picture);
          // The same file again must count as a new choice.
          event.target.value = "";
        }}
      />
      {source === null ? (
        <button type="button" className="source-empty" disabled={busy} onClick={() => input.current?.click()}>
          <PictureIcon />
          <span>
            <strong>{busy ? "Reading the picture" : "Start from a picture"}</strong>
            <span className="source-how">Drop it anywhere, paste it, or choose a file</span>
          </span>
        </button>
      ) : (
        <div className="source-chosen">
          <img src={source.url} alt="What the next one starts from" />
          <div className="source-strength">
            <SliderField
              label="Strength"
              value={strength}
              min={0}
              max={1}
              step={0.05}
              hint={changeInWords(strength)}
              error={strengthError}
              onChange={onStrength}
            />
            {onUseParameters !== undefined && (
              <button type="button" className="action" onClick={onUseParameters}>
                <ReuseIcon />
                Use its settings instead
              </button>
            )}
          </div>
          <IconButton label="Start without a picture" icon={<CloseIcon />} onPress={onRemove} />
        </div>
      )}
      {error !== undefined && (
        <p className="field-error" role="alert">
          {error}
        </p>
      )}
    </div>
  );
}

function changeInWords(strength: number): string {
  if (strength < 0.35) return "Stays close to the picture.";
  if (strength < 0.75) return "Keeps its layout.";
  return "Little of it remains.";
}
