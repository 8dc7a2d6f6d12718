import type { ModelDefaults, ModelFamily, ModelVariant } from "./model.ts";

type Sampling = Pick<ModelDefaults, "steps" | "guidance_scale" | "scheduler">;

/**
 * Sampling by distillation, as the checkpoints' authors publish it: SDXL-Lightning (arXiv 2402.13929: Euler, trailing
 * spacing), Hyper-SD (2404.13686), SDXL-Turbo (2311.17042: one step, no guidance), LCM (2310.04378). Steps and guidance
 * of Lightning, Hyper and base are those that the depth contract documents.
 */
const SAMPLING: Record<ModelVariant, Sampling> = {
  base: { steps: 30, guidance_scale: 7.5, scheduler: "dpmpp_2m_karras" },
  lightning: { steps: 6, guidance_scale: 2, scheduler: "euler_trailing" },
  hyper: { steps: 8, guidance_scale: 6, scheduler: "euler_trailing" },
  turbo: { steps: 1, guidance_scale: 0, scheduler: "euler_ancestral_trailing" },
  lcm: { steps: 4, guidance_scale: 1, scheduler: "lcm" },
  demo: { steps: 20, guidance_scale: 3, scheduler: "euler" },
};

const SIDE: Record<ModelFamily, number> = { sdxl: 1024, "sdxl-refiner": 1024, sd15: 512 };

/** What a request gets that leaves these out. */
export function defaultsOf(family: ModelFamily, variant: ModelVariant, side = SIDE[family]): ModelDefaults {
  return { ...SAMPLING[variant], width: side, height: side };
}

/** Recognises a distilled checkpoint by the words in its name, the only place where its authors say so. */
export function variantOf(name: string): ModelVariant {
  const words = name.toLowerCase();
  if (/lightning/.test(words)) return "lightning";
  if (/hyper/.test(words)) return "hyper";
  if (/turbo/.test(words)) return "turbo";
  if (/\blcm\b|[-_]lcm/.test(words)) return "lcm";
  if (/kiln-demo/.test(words)) return "demo";
  return "base";
}
