import type { SchedulerConfig } from "./model-configs.ts";

/** Few-step training that a checkpoint has behind it, where the file says so. */
export interface Distilled {
  readonly kind: DistilledKind;
  /** Steps that it was trained for, where the name tells. */
  readonly steps?: number;
}

export type DistilledKind = "turbo" | "lightning" | "lcm" | "hyper" | "tcd" | "dmd2";

/** What a file or folder says about itself. */
export interface Clues {
  /** File name, or folder name. */
  readonly name: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly scheduler?: SchedulerConfig;
  /** A guidance embedding is the mark of a consistency-distilled UNet. */
  readonly timeCondProjDim: number | null;
}

/**
 * Tells a few-step checkpoint by its scheduler, its UNet, its title in the metadata, or its name. Names are taken apart into
 * words, also at changes of case and at digits ("juggernautXL_v9Lightning_4S"), so that "hyperrealistic" is no "hyper".
 */
export function findDistilled(clues: Clues): Distilled | undefined {
  const texts = [clues.name, clues.metadata.get("modelspec.title") ?? "", clues.metadata.get("modelspec.architecture") ?? ""];
  const steps = texts.map(stepsIn).find((count) => count !== undefined);
  const kind =
    kindByScheduler(clues) ?? texts.map((text) => kindByWords(text, steps !== undefined)).find((found) => found !== undefined);
  if (kind === undefined) return undefined;
  return steps === undefined ? { kind } : { kind, steps };
}

function kindByScheduler({ scheduler, timeCondProjDim }: Clues): DistilledKind | undefined {
  const name = scheduler?._class_name;
  if (timeCondProjDim !== null || name === "LCMScheduler") return "lcm";
  return name === "TCDScheduler" ? "tcd" : undefined;
}

function kindByWords(text: string, hasSteps: boolean): DistilledKind | undefined {
  const words = (text.match(/[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+/g) ?? []).map((word) => word.toLowerCase());
  if (words.includes("dmd")) return "dmd2";
  for (const kind of ["lightning", "turbo", "lcm", "tcd"] as const) if (words.includes(kind)) return kind;
  // "Hyper" alone is also a word of titles; the method's files name their base model or their steps.
  const hyper = words.indexOf("hyper");
  return hyper >= 0 && (hasSteps || /^sd/.test(words[hyper + 1] ?? "")) ? "hyper" : undefined;
}

function stepsIn(text: string): number | undefined {
  const digits = /(?:^|[^0-9])(\d{1,2})[-_ ]?steps?(?![a-z])/i.exec(text)?.[1];
  const steps = digits === undefined ? 0 : Number(digits);
  return steps > 0 ? steps : undefined;
}
