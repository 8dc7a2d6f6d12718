import type { Scheduler, SchedulerConfig, SchedulerRun } from "./scheduler.ts";

/** The endings of a scheduler's name that choose a spacing. */
export type SpacingName = "Karras" | "Exponential" | "Beta" | "Lu" | "SGM Uniform" | "AYS";

/** One algorithm as the registry lists it. */
export interface SchedulerDefinition {
  /** diffusers' name of the class, which `scheduler_config.json` holds under `_class_name`. */
  readonly className: string;
  /** Short names and the configuration that each stands for. */
  readonly names: Readonly<Record<string, SchedulerConfig>>;
  /** Endings that may follow a short name. */
  readonly spacings: readonly SpacingName[];
  /** @throws KilnError `invalid_request` for a configuration or a run that the algorithm cannot do */
  readonly create: (config: SchedulerConfig, run: SchedulerRun) => Scheduler;
}
