import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Backend } from "../index.ts";
import { type CaseFile, readCase } from "../testing/case-file.ts";
import type { CaseKind } from "./attempt.ts";
import { type Comparison, compare, type GroupDifference, type ProducedTensors } from "./comparison.ts";
import { textCases } from "./json-cases.ts";
import { a1111 } from "./kinds/a1111.ts";
import { controlnet } from "./kinds/controlnet.ts";
import { pipeline } from "./kinds/pipeline.ts";
import { random } from "./kinds/random.ts";
import { scheduler } from "./kinds/scheduler.ts";
import { textEncoder, weightedPrompt } from "./kinds/text-encoder.ts";
import { unet } from "./kinds/unet.ts";
import { tinyVae, vae } from "./kinds/vae.ts";
import { Workbench } from "./workbench.ts";

/** How to make each kind of case. A kind that is not here is skipped. */
const KINDS: Readonly<Record<string, CaseKind>> = {
  text_encoder: textEncoder,
  random,
  unet,
  vae,
  controlnet,
  scheduler,
  weighted_prompt: weightedPrompt,
  a1111,
  vae_tiny: tinyVae,
  pipeline,
};

export interface ConformanceOptions {
  /** Laid out as the reference: `cases/KIND/NAME.safetensors`, `cases/*.json`, `checkpoints/`. */
  readonly folder: string;
  /** Called for each checkpoint that is opened. */
  readonly openBackend: () => Backend;
  /** This kind alone. */
  readonly kind?: string | undefined;
  /** Cases alone whose names hold this. */
  readonly name?: string | undefined;
  /** How results are judged. Default: each case's own tolerance. */
  readonly judge?: Judge;
}

/** Holds what was made for a case against what it expects. */
export type Judge = (file: CaseFile, produced: ProducedTensors, kind: string, name: string) => Comparison;

export interface CaseResult {
  readonly kind: string;
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  /** The largest difference for each tolerance. */
  readonly groups: readonly GroupDifference[];
  /** Why it failed, beside numbers that differ; why it was skipped. */
  readonly reasons: readonly string[];
}

/** Runs the cases of a folder one after the other; each result comes as soon as it is there. A case that throws has failed. */
export async function* runConformance({
  folder,
  openBackend,
  kind,
  name,
  judge = compare,
}: ConformanceOptions): AsyncGenerator<CaseResult> {
  const workbench = new Workbench(folder, openBackend);
  const wanted = (of: { kind: string; name: string }): boolean =>
    (kind === undefined || of.kind === kind) && (name === undefined || of.name.includes(name));
  try {
    for (const text of textCases(folder).filter(wanted)) {
      const difference = text.check();
      yield result(text, { groups: [], faults: difference === undefined ? [] : [difference], passed: difference === undefined });
    }
    for (const found of findCases(folder).filter(wanted)) yield await runCase(found, workbench, judge);
  } finally {
    await workbench.dispose();
  }
}

interface FoundCase {
  readonly kind: string;
  readonly name: string;
  readonly path: string;
}

function findCases(folder: string): readonly FoundCase[] {
  const root = join(folder, "cases");
  if (!existsSync(root)) throw new Error(`${folder} holds no folder cases: name a folder laid out as the reference`);
  const kinds = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return kinds
    .map((entry) => entry.name)
    .sort()
    .flatMap((kind) =>
      readdirSync(join(root, kind))
        .filter((file) => file.endsWith(".safetensors"))
        .sort()
        .map((file) => ({ kind, name: file.slice(0, -".safetensors".length), path: join(root, kind, file) })),
    );
}

async function runCase(found: FoundCase, workbench: Workbench, judge: Judge): Promise<CaseResult> {
  const make = KINDS[found.kind];
  if (!make)
    return { ...named(found), outcome: "skipped", groups: [], reasons: [`the runner does not know the kind ${found.kind}`] };
  try {
    const file = readCase(found.path);
    const comparisons: Comparison[] = [];
    for (const attempt of make(file, workbench)) {
      const comparison = judge(file, await attempt.make(), found.kind, found.name);
      const faults = comparison.faults.map((fault) => (attempt.label === "" ? fault : `${attempt.label}: ${fault}`));
      comparisons.push({ ...comparison, faults });
    }
    return result(found, merge(comparisons));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { ...named(found), outcome: "failed", groups: [], reasons: [reason] };
  }
}

/** The worst of several attempts at one case. */
function merge(comparisons: readonly Comparison[]): Comparison {
  const groups = new Map<string, GroupDifference>();
  for (const each of comparisons.flatMap((comparison) => comparison.groups)) {
    const known = groups.get(each.group);
    if (!known || each.difference > known.difference) groups.set(each.group, each);
  }
  return {
    groups: [...groups.values()],
    faults: comparisons.flatMap(({ faults }) => faults),
    passed: comparisons.length > 0 && comparisons.every(({ passed }) => passed),
  };
}

function result(of: { kind: string; name: string }, { groups, faults, passed }: Comparison): CaseResult {
  return { ...named(of), outcome: passed ? "passed" : "failed", groups, reasons: faults };
}

function named({ kind, name }: { kind: string; name: string }): { kind: string; name: string } {
  return { kind, name };
}
