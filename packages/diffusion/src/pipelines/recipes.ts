import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { CheckpointDefaults } from "../checkpoint/defaults.ts";
import type { Distilled, DistilledKind } from "../checkpoint/distilled.ts";

/** What suits a checkpoint when the request is silent. */
export interface Recipe {
  readonly steps: number;
  readonly guidanceScale: number;
  /** Undefined: the checkpoint's own scheduler. */
  readonly scheduler: { readonly name: string; readonly config: Readonly<Record<string, unknown>> } | undefined;
  readonly timesteps?: readonly number[];
  readonly eta?: number;
  /** Width and height in pixels. */
  readonly size: { readonly width: number; readonly height: number };
}

const TRAILING = { timestep_spacing: "trailing" } as const;

export type FewSteps = Omit<Recipe, "size">;

/**
 * The published recipes of few-step checkpoints and LoRAs: all but two leave guidance out, which halves every step.
 * Lightning: Lin et al., arXiv 2402.13929 and its model card. Turbo: Sauer et al., arXiv 2311.17042 and its model card.
 * LCM: Luo et al., arXiv 2310.04378 (guidance as an embedding) and LCM-LoRA, arXiv 2311.05556. TCD: Zheng et al., arXiv 2402.19159.
 * Hyper-SD: Ren et al., arXiv 2404.13686 and its model card. DMD2: Yin et al., arXiv 2405.14867 and its model card.
 */
const FEW_STEPS: Readonly<Record<DistilledKind, (steps: number | undefined) => FewSteps>> = {
  lightning: (steps = 4) => ({ steps, guidanceScale: 1, scheduler: { name: "EulerDiscreteScheduler", config: TRAILING } }),
  turbo: (steps = 1) => ({ steps, guidanceScale: 1, scheduler: { name: "EulerAncestralDiscreteScheduler", config: TRAILING } }),
  lcm: (steps = 4) => ({ steps, guidanceScale: 1, scheduler: { name: "LCMScheduler", config: {} } }),
  tcd: (steps = 4) => ({ steps, guidanceScale: 1, scheduler: { name: "TCDScheduler", config: {} }, eta: 0.3 }),
  hyper: (steps = 8) => ({
    steps,
    guidanceScale: 1,
    scheduler: { name: "DDIMScheduler", config: { ...TRAILING, clip_sample: false, set_alpha_to_one: false } },
  }),
  dmd2: () => ({ steps: 4, guidanceScale: 1, scheduler: { name: "LCMScheduler", config: {} }, timesteps: [999, 749, 499, 249] }),
};

/** The recipe of a kind of few-step training, which a LoRA brings to any checkpoint. */
export function fewStepRecipe({ kind, steps }: Distilled): FewSteps {
  return FEW_STEPS[kind](steps);
}

/** LCM networks that take the guidance scale as an embedding were published with this one. */
const EMBEDDED_GUIDANCE = 8;

/** Undistilled checkpoints: enough steps for any of the schedulers, and the guidance of the reference pipelines. */
const FULL = {
  sdxl: { steps: 30, guidanceScale: 5 },
  "sdxl-refiner": { steps: 30, guidanceScale: 5 },
  sd15: { steps: 30, guidanceScale: 7.5 },
} as const;

const SIZE = { sdxl: 1024, "sdxl-refiner": 1024, sd15: 512 } as const;

/** @param loras few-step kinds of the request's LoRAs, which count like the checkpoint's own. */
export function recipeFor(
  { family, configs, distilled }: Checkpoint,
  defaults: CheckpointDefaults = {},
  loras: readonly Distilled[] = [],
): Recipe {
  const fewSteps = loras[0] ?? distilled;
  const side = SIZE[family];
  const size = { width: defaults.width ?? side, height: defaults.height ?? side };
  if (fewSteps) {
    const recipe = fewStepRecipe(fewSteps);
    const embedded = configs.unet.timeCondProjDim !== null;
    return { ...recipe, guidanceScale: embedded ? EMBEDDED_GUIDANCE : recipe.guidanceScale, size };
  }
  const scheduler = defaults.scheduler === undefined ? undefined : { name: defaults.scheduler, config: {} };
  return {
    steps: defaults.steps ?? FULL[family].steps,
    guidanceScale: defaults.guidanceScale ?? FULL[family].guidanceScale,
    scheduler,
    size,
  };
}
