import { A1111_SCHEDULES, isA1111Sampler, resolveA1111Name } from "@kiln/diffusion";
import type { GenerationRequestInput } from "../../jobs/request.ts";
import { A1111Error } from "./errors.ts";
import type { CommonFields, TextFields } from "./fields.ts";

type Names = ReturnType<typeof resolveA1111Name>;

/** None is the model's own. Raises for an unknown sampler, which its clients look for. */
export function samplerOf(fields: CommonFields): GenerationRequestInput["a1111"] {
  const names = namesOf(fields.sampler_name || fields.sampler_index, fields.scheduler);
  if (!names) return undefined;
  const { eta, s_churn, s_tmin, s_tmax, s_noise } = fields;
  const options = Object.entries({ eta, s_churn, s_tmin, s_tmax, s_noise }).filter(([, value]) => typeof value === "number");
  return { ...names, ...(options.length > 0 ? { options: Object.fromEntries(options) } : {}) };
}

/** The second pass's sampler, with the options of the first; undefined where both have one. Raises as `samplerOf`. */
export function hiresSamplerOf(fields: TextFields): GenerationRequestInput["a1111"] {
  const first = samplerOf(fields);
  const sampler = own(fields.hr_sampler_name) ?? first?.sampler;
  const schedule = own(fields.hr_scheduler) ?? first?.schedule;
  const second = namesOf(sampler, schedule);
  if (!second || (first && second.sampler === first.sampler && second.schedule === first.schedule)) return undefined;
  return { ...second, ...(first?.options ? { options: first.options } : {}) };
}

function own(name: string | null | undefined): string | undefined {
  return name && !/^use same /i.test(name) ? name : undefined;
}

/** An unknown schedule is Automatic, as in A1111. */
function namesOf(sampler: string | null | undefined, schedule: string | null | undefined): Names | undefined {
  if (!sampler || /^(none|automatic)$/i.test(sampler)) return undefined;
  if (!isA1111Sampler(sampler)) throw new A1111Error(400, "Sampler not found");
  const wanted = (schedule ?? "").trim().toLowerCase();
  const isKnown = A1111_SCHEDULES.some(({ name, label, aliases }) =>
    [name, label, ...aliases].some((each) => each.toLowerCase() === wanted),
  );
  return resolveA1111Name(sampler, isKnown ? wanted : undefined);
}
