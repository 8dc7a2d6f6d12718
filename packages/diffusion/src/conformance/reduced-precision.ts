import { readFileSync } from "node:fs";
import type { CaseFile } from "../testing/case-file.ts";
import { type Comparison, compare, countedTensors, type ProducedTensors } from "./comparison.ts";

/** Precisions whose errors are held against torch's own: in which of torch's, and how much larger a network's error may be. */
const JUDGED = {
  bfloat16: { torch: "bfloat16", margin: 1.5 },
  float16: { torch: "float16", margin: 1.5 },
  // torch has no such form. What is not a linear layer is computed in bfloat16.
  int8: { torch: "bfloat16", margin: 2 },
} as const;

/** The tensor of a network case that its error is measured at. */
const MEASURED = ["output", "decoded", "prompt_embeds"];

/** Kinds that compute without networks, or whose networks are judged by their own cases. */
const EXACT_KINDS = new Set(["random", "scheduler"]);

export const REDUCED_PRECISIONS = ["bfloat16", "float16", "int8"] as const;
export type ReducedPrecision = (typeof REDUCED_PRECISIONS)[number];

/** Relative L2 errors of torch in a precision, on a CPU, by case: bench/torch-errors.py makes them. */
function torchErrors(precision: "bfloat16" | "float16"): ReadonlyMap<string, number> {
  const path = new URL(`../../fixtures/torch-${precision}-errors.json`, import.meta.url);
  const errors: Record<string, number> = JSON.parse(readFileSync(path, "utf8"));
  return new Map(Object.entries(errors));
}

/**
 * Judges cases in a reduced precision: the relative L2 error of a network's answer, beside torch's own in that precision (for int8,
 * in bfloat16) for that case, or the largest of its kind where torch was not measured. What has no network is held to its own
 * tolerance; whole pictures are not judged, for rounding at every step leads them elsewhere.
 */
export function reducedPrecisionJudge(
  precision: ReducedPrecision,
): (file: CaseFile, produced: ProducedTensors, kind: string, name: string) => Comparison {
  const { torch, margin } = JUDGED[precision];
  const errors = torchErrors(torch);
  return (file, produced, kind, name) => {
    if (EXACT_KINDS.has(kind)) return compare(file, produced);
    const measured = MEASURED.find((tensor) => countedTensors(file).includes(tensor));
    const ofKind = [...errors].filter(([key]) => key.startsWith(`${kind}/`)).map(([, error]) => error);
    if (measured === undefined || ofKind.length === 0) return { groups: [], faults: [], passed: true };
    const tolerance = margin * (errors.get(`${kind}/${name}`) ?? Math.max(...ofKind));
    const difference = relativeError(file, produced, measured);
    return { groups: [{ group: `${measured} relative`, difference, tolerance }], faults: [], passed: difference <= tolerance };
  };
}

/** |actual - expected| / |expected|, by the Euclidean norm; infinite where the tensor is missing or of another size. */
function relativeError(file: CaseFile, produced: ProducedTensors, name: string): number {
  const expected = file.tensors.get(name)?.data;
  const actual = produced[name]?.data;
  if (!expected || !actual || expected.length !== actual.length) return Number.POSITIVE_INFINITY;
  let [error, norm] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    error += (Number(actual[i]) - Number(expected[i])) ** 2;
    norm += Number(expected[i]) ** 2;
  }
  return Math.sqrt(error / norm);
}
