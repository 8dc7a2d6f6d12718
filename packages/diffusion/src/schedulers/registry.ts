import { KilnError } from "../errors.ts";
import { alignYourSteps } from "./align-your-steps.ts";
import { ddim } from "./ddim.ts";
import { ddpm } from "./ddpm.ts";
import type { SchedulerDefinition, SpacingName } from "./definition.ts";
import { deis } from "./deis.ts";
import { dpmMultistep } from "./dpm-multistep.ts";
import { dpmSde } from "./dpm-sde.ts";
import { dpmSinglestep } from "./dpm-singlestep.ts";
import { dpm2 } from "./dpm2.ts";
import { dpm2Ancestral } from "./dpm2-ancestral.ts";
import { edmDpmMultistep } from "./edm-dpm-multistep.ts";
import { edmEuler } from "./edm-euler.ts";
import { euler } from "./euler.ts";
import { eulerAncestral } from "./euler-ancestral.ts";
import { heun } from "./heun.ts";
import { lcm } from "./lcm.ts";
import { lms } from "./lms.ts";
import { pndm } from "./pndm.ts";
import type { Scheduler, SchedulerConfig, SchedulerRun } from "./scheduler.ts";
import { tcd } from "./tcd.ts";
import { unipc } from "./unipc.ts";

/** Every algorithm there is. A new one is a file and a line here. */
const DEFINITIONS: readonly SchedulerDefinition[] = [
  euler,
  eulerAncestral,
  heun,
  lms,
  dpm2,
  dpm2Ancestral,
  dpmMultistep,
  dpmSinglestep,
  dpmSde,
  ddim,
  ddpm,
  pndm,
  unipc,
  deis,
  lcm,
  tcd,
  edmEuler,
  edmDpmMultistep,
];

const NO_RESPACING = { use_karras_sigmas: false, use_exponential_sigmas: false, use_beta_sigmas: false, use_lu_lambdas: false };

/** What each ending of a name sets. Align Your Steps comes as timesteps, which no respacing may stand beside. */
const SPACINGS: Readonly<Record<SpacingName, SchedulerConfig>> = {
  Karras: { ...NO_RESPACING, use_karras_sigmas: true },
  Exponential: { ...NO_RESPACING, use_exponential_sigmas: true },
  Beta: { ...NO_RESPACING, use_beta_sigmas: true },
  Lu: { ...NO_RESPACING, use_lu_lambdas: true },
  "SGM Uniform": { ...NO_RESPACING, timestep_spacing: "trailing" },
  AYS: NO_RESPACING,
};
const SPACING_NAMES: readonly SpacingName[] = ["Karras", "Exponential", "Beta", "Lu", "SGM Uniform", "AYS"];

export interface ResolvedScheduler {
  /** diffusers' name of the class. */
  readonly class: string;
  /** What the name sets, over the checkpoint's own configuration. */
  readonly config: SchedulerConfig;
  /** True where the timesteps are those of Align Your Steps. */
  readonly alignYourSteps: boolean;
}

export interface ListedScheduler {
  readonly class: string;
  /** Short names, plain and with each ending that the algorithm knows. */
  readonly names: readonly string[];
}

interface Named extends ResolvedScheduler {
  readonly definition: SchedulerDefinition;
}

const BY_NAME = new Map<string, Named>(DEFINITIONS.flatMap((definition) => namesOf(definition)));

/**
 * The algorithm that a name means: diffusers' class ("EulerDiscreteScheduler"), or a short name
 * ("DPM++ 2M", "Euler a") with or without an ending ("Karras", "SGM Uniform"). Case, spaces and hyphens do not matter.
 */
export function resolveSchedulerName(name: string): ResolvedScheduler | undefined {
  const named = BY_NAME.get(normalise(name));
  return named && { class: named.class, config: named.config, alignYourSteps: named.alignYourSteps };
}

/** Every algorithm with the names that it answers to. */
export function listSchedulers(): readonly ListedScheduler[] {
  return DEFINITIONS.map((definition) => ({ class: definition.className, names: shortNames(definition).map(([name]) => name) }));
}

/**
 * A run of the algorithm named. What the name sets goes over `config`, which is a checkpoint's `scheduler_config.json` of
 * whatever class: as with diffusers' `from_config`, keys that the algorithm does not know are ignored, keys that only its
 * old class had filled with defaults (`_use_default_values`) are dropped, and what is missing takes the algorithm's own defaults.
 * @throws KilnError `invalid_request` that names the field: an unknown name, or a configuration or a run that the algorithm cannot do
 */
export function createScheduler(name: string, config: SchedulerConfig, run: SchedulerRun): Scheduler {
  const named = BY_NAME.get(normalise(name));
  if (named === undefined) {
    const message = `There is no scheduler named ${JSON.stringify(name.slice(0, 80))}; kiln schedulers lists them, such as "Euler" or "DPM++ 2M Karras".`;
    throw new KilnError("invalid_request", message, { subject: "scheduler" });
  }
  const merged = { ...withoutDefaults(config), ...named.config };
  if (merged.use_flow_sigmas === true || merged.prediction_type === "flow_prediction") {
    throw new KilnError(
      "invalid_request",
      "The scheduler's use_flow_sigmas is for flow matching, which Stable Diffusion does not use; leave it out.",
      {
        subject: "use_flow_sigmas",
      },
    );
  }
  const aligned = named.alignYourSteps && run.timesteps === undefined && run.sigmas === undefined;
  return named.definition.create(merged, aligned ? { ...run, timesteps: alignYourSteps(run.family ?? "sdxl", run.steps) } : run);
}

function withoutDefaults(config: SchedulerConfig): SchedulerConfig {
  const dropped = config._use_default_values;
  if (!Array.isArray(dropped)) return config;
  return Object.fromEntries(Object.entries(config).filter(([key]) => !dropped.includes(key)));
}

function namesOf(definition: SchedulerDefinition): [string, Named][] {
  const plain: [string, Named] = [
    normalise(definition.className),
    { class: definition.className, config: {}, alignYourSteps: false, definition },
  ];
  const short = shortNames(definition).map(([name, config]): [string, Named] => [
    normalise(name),
    { class: definition.className, config, alignYourSteps: name.endsWith(" AYS"), definition },
  ]);
  return [plain, ...short];
}

function shortNames({ names, spacings }: SchedulerDefinition): [string, SchedulerConfig][] {
  return Object.entries(names).flatMap(([name, config]) => [
    [name, config] satisfies [string, SchedulerConfig],
    ...SPACING_NAMES.filter((spacing) => spacings.includes(spacing)).map((spacing): [string, SchedulerConfig] => [
      `${name} ${spacing}`,
      { ...config, ...SPACINGS[spacing] },
    ]),
  ]);
}

function normalise(name: string): string {
  return name.toLowerCase().replaceAll(/[\s_-]+/g, "");
}
