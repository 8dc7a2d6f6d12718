import { KilnError } from "../../errors.ts";

/** A sampler as AUTOMATIC1111 lists it. */
export interface A1111Sampler {
  readonly name: string;
  /** Other names that its API takes. */
  readonly aliases: readonly string[];
  /** The schedule that "Automatic" stands for. */
  readonly automatic: string;
  /** Asks for a step more and leaves out the sigma before the last. */
  readonly discardsNextToLastSigma: boolean;
  /** Two evaluations of the network a step. */
  readonly secondOrder: boolean;
  /** Draws its noise from a Brownian path of its own, which the run's seed determines. */
  readonly brownianNoise: boolean;
  /** Noise after the first draw comes from the seed plus AUTOMATIC1111's "eta noise seed delta", where its user sets one. */
  readonly usesEtaNoiseSeedDelta: boolean;
  /** Counts in timesteps and ignores the schedule. */
  readonly ignoresSchedule: boolean;
  /** The eta of a request that names none. */
  readonly defaultEta: number;
}

/** A schedule ("schedule type", "scheduler") as AUTOMATIC1111 lists it. */
export interface A1111Schedule {
  readonly name: string;
  readonly label: string;
  readonly aliases: readonly string[];
  /** The rho of a request that names none; -1 where the schedule has none, as AUTOMATIC1111's API says it. */
  readonly defaultRho: number;
  readonly needInnerModel: boolean;
}

/** Every sampler that is built, in AUTOMATIC1111's order. "DPM adaptive" is not: the number of its steps is not known beforehand. */
export const A1111_SAMPLERS = [
  sampler("DPM++ 2M", ["k_dpmpp_2m"], { automatic: "karras" }),
  sampler("DPM++ SDE", ["k_dpmpp_sde"], { automatic: "karras", secondOrder: true, brownianNoise: true, defaultEta: 1 }),
  sampler("DPM++ 2M SDE", ["k_dpmpp_2m_sde"], { automatic: "exponential", brownianNoise: true, defaultEta: 1 }),
  sampler("DPM++ 2M SDE Heun", ["k_dpmpp_2m_sde_heun"], { automatic: "exponential", brownianNoise: true, defaultEta: 1 }),
  sampler("DPM++ 2S a", ["k_dpmpp_2s_a"], {
    automatic: "karras",
    secondOrder: true,
    usesEtaNoiseSeedDelta: true,
    defaultEta: 1,
  }),
  sampler("DPM++ 3M SDE", ["k_dpmpp_3m_sde"], {
    automatic: "exponential",
    discardsNextToLastSigma: true,
    brownianNoise: true,
    defaultEta: 1,
  }),
  sampler("Euler a", ["k_euler_a", "k_euler_ancestral"], { usesEtaNoiseSeedDelta: true, defaultEta: 1 }),
  sampler("Euler", ["k_euler"], {}),
  sampler("LMS", ["k_lms"], {}),
  sampler("Heun", ["k_heun"], { secondOrder: true }),
  sampler("DPM2", ["k_dpm_2"], { automatic: "karras", discardsNextToLastSigma: true, secondOrder: true }),
  sampler("DPM2 a", ["k_dpm_2_a"], {
    automatic: "karras",
    discardsNextToLastSigma: true,
    secondOrder: true,
    usesEtaNoiseSeedDelta: true,
    defaultEta: 1,
  }),
  sampler("DPM fast", ["k_dpm_fast"], { usesEtaNoiseSeedDelta: true, defaultEta: 1 }),
  sampler("Restart", ["restart"], { automatic: "karras", secondOrder: true }),
  sampler("DDIM", ["ddim"], { ignoresSchedule: true }),
  sampler("PLMS", ["plms"], { ignoresSchedule: true }),
  sampler("UniPC", ["unipc"], { ignoresSchedule: true }),
  sampler("LCM", ["k_lcm"], {}),
] as const satisfies readonly A1111Sampler[];

export type A1111SamplerName = (typeof A1111_SAMPLERS)[number]["name"];

/** Every schedule that is built, in AUTOMATIC1111's order. */
export const A1111_SCHEDULES = [
  schedule("automatic", "Automatic", {}),
  schedule("uniform", "Uniform", { needInnerModel: true }),
  schedule("karras", "Karras", { defaultRho: 7 }),
  schedule("exponential", "Exponential", {}),
  schedule("polyexponential", "Polyexponential", { defaultRho: 1 }),
  schedule("sgm_uniform", "SGM Uniform", { needInnerModel: true, aliases: ["SGMUniform"] }),
  schedule("kl_optimal", "KL Optimal", {}),
  schedule("align_your_steps", "Align Your Steps", {}),
  schedule("simple", "Simple", { needInnerModel: true }),
  schedule("normal", "Normal", { needInnerModel: true }),
  schedule("ddim", "DDIM", { needInnerModel: true }),
  schedule("beta", "Beta", { needInnerModel: true }),
] as const satisfies readonly A1111Schedule[];

export type A1111ScheduleName = (typeof A1111_SCHEDULES)[number]["name"];

/** A sampler and a schedule that are known to exist. */
export interface A1111Names {
  readonly sampler: A1111SamplerName;
  readonly schedule: A1111ScheduleName;
}

/** Longer names than this are not worth repeating in an error. */
const MAX_NAME_LENGTH = 64;

/**
 * Finds sampler and schedule by name, label or alias, in any case. A schedule at the end of the sampler's name
 * ("DPM++ 2M Karras") wins over the second argument, as in AUTOMATIC1111; where neither names one it is Automatic.
 * Raises `invalid_request` for names that are unknown, or known and not built.
 */
export function resolveA1111Name(samplerName: string, scheduleName?: string): A1111Names {
  const joined = splitJoined(samplerName);
  const named = scheduleName === undefined || scheduleName.trim() === "" ? undefined : findSchedule(scheduleName);
  const foundSampler = findSampler(joined.sampler);
  if (foundSampler === undefined) throw unknownSampler(samplerName);
  const foundSchedule = joined.schedule ?? named;
  if (foundSchedule === undefined && scheduleName !== undefined && scheduleName.trim() !== "") {
    const known = A1111_SCHEDULES.map(({ label }) => label).join(", ");
    throw new KilnError("invalid_request", `The schedule "${short(scheduleName)}" is not known; use one of ${known}.`, {
      subject: "scheduler",
    });
  }
  return { sampler: foundSampler.name, schedule: foundSchedule?.name ?? "automatic" };
}

/** Whether `resolveA1111Name` finds the sampler: for callers that know samplers of other families too. */
export function isA1111Sampler(name: string): boolean {
  return findSampler(splitJoined(name).sampler) !== undefined;
}

/** The listed properties of a sampler. */
export function a1111Sampler(name: A1111SamplerName): A1111Sampler {
  const found = A1111_SAMPLERS.find((entry) => entry.name === name);
  if (found === undefined) throw new RangeError(`no sampler is listed as ${name}`);
  return found;
}

/** A sampler's options as AUTOMATIC1111's API lists them: strings by its own keys, what is not set left out. */
export function a1111SamplerOptions(name: A1111SamplerName): Record<string, string> {
  const found = a1111Sampler(name);
  const flags = {
    discard_next_to_last_sigma: found.discardsNextToLastSigma,
    second_order: found.secondOrder,
    brownian_noise: found.brownianNoise,
    uses_ensd: found.usesEtaNoiseSeedDelta,
  };
  return {
    ...(found.automatic === "uniform" ? {} : { scheduler: found.automatic }),
    ...Object.fromEntries(Object.entries(flags).flatMap(([key, set]) => (set ? [[key, "True"]] : []))),
    ...(name === "DPM++ 2M SDE Heun" ? { solver_type: "heun" } : {}),
  };
}

/** The schedule that "automatic" means for a sampler; any other is itself. */
export function scheduleFor({ sampler: name, schedule: asked }: A1111Names): A1111ScheduleName {
  if (asked !== "automatic") return asked;
  return findSchedule(a1111Sampler(name).automatic)?.name ?? "uniform";
}

function sampler<const Name extends string>(
  name: Name,
  aliases: readonly string[],
  options: Partial<Omit<A1111Sampler, "name" | "aliases">>,
): A1111Sampler & { readonly name: Name } {
  return {
    name,
    aliases,
    automatic: "uniform",
    discardsNextToLastSigma: false,
    secondOrder: false,
    brownianNoise: false,
    usesEtaNoiseSeedDelta: false,
    ignoresSchedule: false,
    defaultEta: 0,
    ...options,
  };
}

function schedule<const Name extends string>(
  name: Name,
  label: string,
  options: Partial<Omit<A1111Schedule, "name" | "label">>,
): A1111Schedule & { readonly name: Name } {
  return { name, label, aliases: [], defaultRho: -1, needInnerModel: false, ...options };
}

/** "DPM++ 2M Karras" is the sampler "DPM++ 2M" with the schedule Karras; so is the alias "k_dpmpp_2m_ka". */
function splitJoined(name: string): { sampler: string; schedule: (typeof A1111_SCHEDULES)[number] | undefined } {
  const plain = name.trim().toLowerCase();
  if (findSampler(plain) !== undefined) return { sampler: plain, schedule: undefined };
  if (plain.startsWith("k_") && plain.endsWith("_ka")) return { sampler: plain.slice(0, -3), schedule: findSchedule("karras") };
  for (const entry of A1111_SCHEDULES) {
    const ending = namesOf(entry).find((candidate) => plain.endsWith(` ${candidate}`));
    if (ending !== undefined) return { sampler: plain.slice(0, -ending.length - 1).trim(), schedule: entry };
  }
  return { sampler: plain, schedule: undefined };
}

/** Samplers are also found by k-diffusion's own names: an alias without its leading "k_", or with "sample_" there, and "ancestral" for "a". */
function findSampler(name: string): (typeof A1111_SAMPLERS)[number] | undefined {
  const wanted = name
    .trim()
    .toLowerCase()
    .replace(/^sample_/, "")
    .replace(/_ancestral$/, "_a");
  return A1111_SAMPLERS.find(
    (entry) => entry.name.toLowerCase() === wanted || entry.aliases.some((alias) => alias === wanted || alias === `k_${wanted}`),
  );
}

function findSchedule(name: string): (typeof A1111_SCHEDULES)[number] | undefined {
  const wanted = name.trim().toLowerCase();
  return A1111_SCHEDULES.find((entry) => namesOf(entry).includes(wanted));
}

function namesOf(entry: A1111Schedule): string[] {
  return [entry.name, entry.label, ...entry.aliases].map((name) => name.toLowerCase());
}

function unknownSampler(name: string): KilnError {
  const known = A1111_SAMPLERS.map((entry) => entry.name).join(", ");
  const reason = /adaptive|k_dpm_ad/i.test(name)
    ? "is not built, because the number of its steps is not known before it runs"
    : "is not known";
  return new KilnError("invalid_request", `The sampler "${short(name)}" ${reason}; use one of ${known}.`, { subject: "sampler" });
}

function short(name: string): string {
  return name.length > MAX_NAME_LENGTH ? `${name.slice(0, MAX_NAME_LENGTH)}...` : name;
}
