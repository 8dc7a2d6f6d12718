import { listSchedulers, resolveSchedulerName } from "@kiln/diffusion";

/** A scheduler as requests name it. */
export interface SchedulerInfo {
  /** In one word: `dpmpp_2m_karras`. */
  name: string;
  /** As it is commonly written: `DPM++ 2M Karras`. */
  label: string;
  /** diffusers' class. */
  class: string;
}

/** Every algorithm of the engine, plain and with each spacing that it takes. */
export const SCHEDULERS: readonly SchedulerInfo[] = listSchedulers().flatMap(({ class: className, names }) =>
  names.map((label) => ({ name: slug(label), label, class: className })),
);

/** Names of other tools that no rule turns into ours. */
const ALIASES: Record<string, string> = {
  euler_ancestral: "euler_a",
  k_euler: "euler",
  k_euler_a: "euler_a",
  k_euler_ancestral: "euler_a",
};

/** The scheduler that a name means: ours, its label, or diffusers' class. Undefined for none. */
export function findScheduler(name: string): SchedulerInfo | undefined {
  const plain = slug(name);
  const target = ALIASES[plain] ?? plain;
  const found = SCHEDULERS.find((scheduler) => scheduler.name === target);
  if (found) return found;
  const resolved = resolveSchedulerName(name);
  return resolved && SCHEDULERS.find((scheduler) => scheduler.class === resolved.class);
}

function slug(label: string): string {
  return label
    .trim()
    .toLowerCase()
    .replaceAll("++", "pp")
    .replace(/[\s_-]+/g, "_");
}
