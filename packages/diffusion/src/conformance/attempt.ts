import type { CaseFile } from "../testing/case-file.ts";
import type { ProducedTensors } from "./comparison.ts";
import type { Workbench } from "./workbench.ts";

/** One way of making what a case expects; there are several where a checkpoint lies in several layouts. */
export interface Attempt {
  /** What sets it apart from the others. */
  readonly label: string;
  readonly make: () => Promise<ProducedTensors>;
}

/** Plans the attempts at a case of one kind. */
export type CaseKind = (file: CaseFile, workbench: Workbench) => readonly Attempt[];

/** The attempts at a case of a checkpoint: one in each layout that it has. */
export function inEveryLayout(
  checkpoint: string,
  workbench: Workbench,
  make: (pipeline: Awaited<ReturnType<Workbench["open"]>>) => Promise<ProducedTensors>,
): readonly Attempt[] {
  return workbench
    .layouts(checkpoint)
    .map((layout) => ({ label: layout.name, make: async () => make(await workbench.open(layout)) }));
}
