import type { CaseFile } from "../testing/case-file.ts";
import { Fields } from "./fields.ts";

/** A tensor that Kiln made for a case. */
export interface Produced {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** The tensors that Kiln made for a case, by the case's own names. */
export type ProducedTensors = Readonly<Record<string, Produced>>;

/** The largest difference among tensors that share a tolerance. */
export interface GroupDifference {
  readonly group: string;
  readonly difference: number;
  readonly tolerance: number;
}

export interface Comparison {
  readonly groups: readonly GroupDifference[];
  /** What is wrong beside numbers that differ: tensors missing or of another shape, numbers that are none. */
  readonly faults: readonly string[];
  readonly passed: boolean;
}

/** There for finding an error; a design need not expose them. */
const UNCOUNTED = /^(at\.|down\.\d|mid$|step\.\d+\.x0$)/;

/** Names of the tensors that an implementation must reproduce. */
export function countedTensors(file: CaseFile): readonly string[] {
  return new Fields(file.meta).texts("expected").filter((name) => !UNCOUNTED.test(name));
}

/**
 * Holds what was made against what the case expects. Whatever cannot be compared is a fault, never a pass: a tensor that is missing,
 * one of another shape, a number that is not finite, a tensor without tolerance, a case that expects nothing.
 */
export function compare(file: CaseFile, produced: ProducedTensors): Comparison {
  const groups = new Map<string, GroupDifference>();
  const faults: string[] = [];
  const names = countedTensors(file);
  if (names.length === 0) faults.push("the case expects nothing that counts");
  for (const name of names) {
    const { group, tolerance } = toleranceOf(file, name);
    const difference = differenceOf(name, file, produced[name]);
    if (typeof difference === "string") faults.push(difference);
    else if (Number.isNaN(tolerance)) faults.push(`${name} has no tolerance`);
    else if (difference >= (groups.get(group)?.difference ?? 0)) groups.set(group, { group, difference, tolerance });
  }
  const within = [...groups.values()].every(({ difference, tolerance }) => difference <= tolerance);
  return { groups: [...groups.values()], faults, passed: within && faults.length === 0 };
}

/** The largest absolute difference, or what keeps it from being one. */
function differenceOf(name: string, file: CaseFile, actual: Produced | undefined): number | string {
  const expected = file.tensors.get(name);
  if (!expected) return `the case's file has no ${name}`;
  if (!actual) return `${name} was not made`;
  if (actual.shape.join() !== expected.shape.join() || actual.data.length !== expected.data.length)
    return `${name} is [${actual.shape.join(", ")}] and not [${expected.shape.join(", ")}]`;
  let largest = 0;
  for (let i = 0; i < expected.data.length; i++) {
    const difference = Math.abs(Number(actual.data[i]) - Number(expected.data[i]));
    if (!Number.isFinite(difference)) return `${name} holds ${actual.data[i]} where ${expected.data[i]} is expected`;
    largest = Math.max(largest, difference);
  }
  return largest;
}

/** One number for all tensors; or by name, by the longest beginning of the name, and `default` for the rest. NaN: none. */
function toleranceOf({ meta }: CaseFile, name: string): { group: string; tolerance: number } {
  const [first = name] = name.split(".");
  if (typeof meta.tolerance === "number") return { group: first, tolerance: meta.tolerance };
  const tolerances = new Fields(meta.tolerance ?? {});
  const [group = "default"] = Object.keys(tolerances.record())
    .filter((key) => key !== "default" && name.startsWith(key))
    .sort((a, b) => b.length - a.length);
  return { group: group === "default" ? first : group, tolerance: tolerances.optionalNumber(group) ?? Number.NaN };
}
