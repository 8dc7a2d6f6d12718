import type { Model, Scheduler } from "../../api/types.ts";
import { Field } from "../../design/controls/field.tsx";
import { SliderField } from "../../design/controls/slider-field.tsx";
import { SeedField } from "./seed-field.tsx";
import { LIMITS, type Settings } from "./settings.ts";
import { SizeField } from "./size-field.tsx";
import type { SettingsStore } from "./use-settings.ts";

/** SDXL's usual values, shown while the service has not yet said what the model's are. */
const USUAL = { width: 1024, height: 1024, steps: 30, guidanceScale: 5 } as const;
/** Beyond these a slider's travel is wasted on values that nobody wants; the number takes them all. */
const TRACK = { steps: 60, guidance: 15 } as const;

/** For whoever has only what came with the program. */
const OWN_CHECKPOINT = "Your own .safetensors go into the models folder and are found at the next start.";

interface SettingsFieldsProps {
  readonly store: SettingsStore;
  readonly model: Model | undefined;
  readonly models: readonly Model[];
  readonly schedulers: readonly Scheduler[];
  readonly errorOf: (field: string) => string | undefined;
}

export function SettingsFields({ store, model, models, schedulers, errorOf }: SettingsFieldsProps) {
  const { settings, change } = store;
  const own = { width: model?.width ?? USUAL.width, height: model?.height ?? USUAL.height };
  return (
    <>
      <ModelField {...{ models, model, error: errorOf("model") }} onChange={(id) => change({ model: id })} />
      <SizeField
        size={settings.size ?? own}
        own={own}
        error={errorOf("width") ?? errorOf("height")}
        onChange={(size) => change({ size: size.width === own.width && size.height === own.height ? null : size })}
      />
      <SliderField
        label="Steps"
        value={settings.steps ?? model?.steps ?? USUAL.steps}
        {...LIMITS.steps}
        step={1}
        trackMax={TRACK.steps}
        error={errorOf("steps")}
        onChange={(steps) => change({ steps: steps === model?.steps ? null : steps })}
      />
      <SliderField
        label="Guidance"
        value={settings.guidanceScale ?? model?.guidanceScale ?? USUAL.guidanceScale}
        {...LIMITS.guidance}
        step={0.1}
        trackMax={TRACK.guidance}
        error={errorOf("guidance_scale")}
        onChange={(scale) => change({ guidanceScale: scale === model?.guidanceScale ? null : scale })}
      />
      <SeedField
        seed={settings.seed}
        locked={settings.seedLocked}
        error={errorOf("seed")}
        onChange={(seed, seedLocked) => change({ seed, seedLocked })}
      />
      <SchedulerField
        {...{ settings, model, schedulers, error: errorOf("scheduler") }}
        onChange={(scheduler) => change({ scheduler })}
      />
      <SliderField
        label="Pictures"
        value={settings.count}
        {...LIMITS.count}
        step={1}
        error={errorOf("n")}
        onChange={(count) => change({ count })}
      />
      {isChanged(settings) && (
        <button
          type="button"
          className="link-button"
          onClick={() => change({ size: null, steps: null, guidanceScale: null, scheduler: null })}
        >
          Back to the model's own settings
        </button>
      )}
    </>
  );
}

function isChanged({ size, steps, guidanceScale, scheduler }: Settings): boolean {
  return size !== null || steps !== null || guidanceScale !== null || scheduler !== null;
}

interface ModelFieldProps {
  readonly models: readonly Model[];
  readonly model: Model | undefined;
  readonly error: string | undefined;
  readonly onChange: (id: string | null) => void;
}

function ModelField({ models, model, error, onChange }: ModelFieldProps) {
  return (
    <Field label="Model" error={error} hint={model?.description ?? (models.length === 1 ? OWN_CHECKPOINT : undefined)}>
      {(control) => (
        <select {...control} value={model?.id ?? ""} onChange={(event) => onChange(event.target.value)}>
          {models.length === 0 && <option value="">No model found yet</option>}
          {models.map(({ id, title }) => (
            <option key={id} value={id}>
              {title}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

interface SchedulerFieldProps {
  readonly settings: Settings;
  readonly model: Model | undefined;
  readonly schedulers: readonly Scheduler[];
  readonly error: string | undefined;
  readonly onChange: (name: string | null) => void;
}

function SchedulerField({ settings, model, schedulers, error, onChange }: SchedulerFieldProps) {
  const own = schedulers.find(({ name }) => name === model?.scheduler);
  const kept = settings.scheduler;
  const known = kept === null || schedulers.some(({ name }) => name === kept);
  return (
    <Field label="Scheduler" error={error}>
      {(control) => (
        <select
          {...control}
          value={kept ?? ""}
          onChange={(event) => onChange(event.target.value === "" ? null : event.target.value)}
        >
          <option value="">{own === undefined ? "The model's own" : `The model's own: ${own.label}`}</option>
          {!known && <option value={kept}>{kept}</option>}
          {schedulers.map(({ name, label }) => (
            <option key={name} value={name}>
              {label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
