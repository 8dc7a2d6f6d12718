/** A scheduler by the name that requests use: diffusers' class and the fields of its config that differ from the model's own. */
export interface SchedulerInfo {
  name: string;
  /** A1111's name for it. */
  label: string;
  class: string;
  config: Readonly<Record<string, unknown>>;
}

type Algorithm = Omit<SchedulerInfo, "config"> & { config?: Readonly<Record<string, unknown>>; spacings: readonly string[] };

const SPACINGS: Record<string, { label: string; config: Readonly<Record<string, unknown>> }> = {
  karras: { label: "Karras", config: { use_karras_sigmas: true } },
  exponential: { label: "Exponential", config: { use_exponential_sigmas: true } },
  beta: { label: "Beta", config: { use_beta_sigmas: true } },
  trailing: { label: "SGM Uniform", config: { timestep_spacing: "trailing" } },
};

const SIGMA_SPACINGS = ["karras", "exponential", "beta", "trailing"];

const ALGORITHMS: Algorithm[] = [
  { name: "euler", label: "Euler", class: "EulerDiscreteScheduler", spacings: SIGMA_SPACINGS },
  { name: "euler_ancestral", label: "Euler a", class: "EulerAncestralDiscreteScheduler", spacings: ["trailing"] },
  { name: "heun", label: "Heun", class: "HeunDiscreteScheduler", spacings: SIGMA_SPACINGS },
  {
    name: "dpmpp_2m",
    label: "DPM++ 2M",
    class: "DPMSolverMultistepScheduler",
    config: { algorithm_type: "dpmsolver++" },
    spacings: SIGMA_SPACINGS,
  },
  {
    name: "dpmpp_2m_sde",
    label: "DPM++ 2M SDE",
    class: "DPMSolverMultistepScheduler",
    config: { algorithm_type: "sde-dpmsolver++" },
    spacings: SIGMA_SPACINGS,
  },
  { name: "dpmpp_2s", label: "DPM++ 2S", class: "DPMSolverSinglestepScheduler", spacings: ["karras", "exponential", "beta"] },
  { name: "dpmpp_sde", label: "DPM++ SDE", class: "DPMSolverSDEScheduler", spacings: SIGMA_SPACINGS },
  { name: "unipc", label: "UniPC", class: "UniPCMultistepScheduler", spacings: SIGMA_SPACINGS },
  { name: "ddim", label: "DDIM", class: "DDIMScheduler", spacings: ["trailing"] },
  { name: "ddpm", label: "DDPM", class: "DDPMScheduler", spacings: ["trailing"] },
  { name: "lcm", label: "LCM", class: "LCMScheduler", spacings: [] },
  { name: "tcd", label: "TCD", class: "TCDScheduler", spacings: [] },
];

/** Every algorithm with each spacing that it takes. */
export const SCHEDULERS: readonly SchedulerInfo[] = ALGORITHMS.flatMap(({ spacings, config = {}, ...algorithm }) => [
  { ...algorithm, config },
  ...spacings.map((spacing) => {
    const { label, config: spaced } = SPACINGS[spacing] ?? { label: spacing, config: {} };
    return {
      name: `${algorithm.name}_${spacing}`,
      label: `${algorithm.label} ${label}`,
      class: algorithm.class,
      config: { ...config, ...spaced },
    };
  }),
]);

/** Names of other tools that no rule turns into ours. */
const ALIASES: Record<string, string> = {
  euler_a: "euler_ancestral",
  k_euler: "euler",
  k_euler_a: "euler_ancestral",
  k_euler_ancestral: "euler_ancestral",
  dpm_multi: "dpmpp_2m",
  dpm_single: "dpmpp_2s",
  dpm_sde: "dpmpp_sde",
  dpmpp_2m_sde_gpu: "dpmpp_2m_sde",
};

/** The scheduler that a name means: ours, A1111's label, or diffusers' class. Undefined for none. */
export function findScheduler(name: string): SchedulerInfo | undefined {
  const plain = plainName(name);
  const target = ALIASES[plain] ?? plain;
  return (
    SCHEDULERS.find((scheduler) => scheduler.name === target) ??
    SCHEDULERS.find((scheduler) => plainName(scheduler.label) === target) ??
    SCHEDULERS.find((scheduler) => scheduler.class.toLowerCase() === name.trim().toLowerCase())
  );
}

function plainName(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replaceAll("++", "pp")
    .replaceAll("sgm uniform", "trailing")
    .replace(/[\s-]+/g, "_");
}
