import { type DiffusionModel, type Row, rowConditioning } from "../../index.ts";
import type { CaseFile } from "../../testing/case-file.ts";
import { type CaseKind, inEveryLayout } from "../attempt.ts";
import type { Produced } from "../comparison.ts";
import { Fields } from "../fields.ts";
import { floatTensor, fromEnd, optionalFloatTensor, rowsOf, stack } from "../tensors.ts";

/** One call of the UNet. */
export const unet: CaseKind = (file, workbench) =>
  inEveryLayout(new Fields(file.meta).text("checkpoint"), workbench, async ({ model }) => ({
    output: await predict(file, model, networkRows(file, model)),
  }));

/** The case's batch as rows of the UNet. */
export function networkRows(file: CaseFile, { checkpoint }: DiffusionModel): readonly Row[] {
  const timesteps = floatTensor(file, "timestep").data;
  const states = rowsOf(floatTensor(file, "encoder_hidden_states"));
  const pooled = optionalFloatTensor(file, "text_embeds");
  const ids = optionalFloatTensor(file, "time_ids");
  return rowsOf(floatTensor(file, "sample")).map((sample, i) => ({
    sample,
    timestep: timesteps[i] ?? Number.NaN,
    conditioning: rowConditioning(
      { states: states[i] ?? new Float32Array(0), windows: 1, pooled: pooled && rowsOf(pooled)[i] },
      [...((ids && rowsOf(ids)[i]) ?? [])],
      checkpoint,
    ),
    adapters: [],
    controls: [],
  }));
}

export async function predict(file: CaseFile, { predictor }: DiffusionModel, rows: readonly Row[]): Promise<Produced> {
  const size = latentSize(file);
  const predictions = await predictor.predict(rows, size, undefined);
  return stack(predictions, [predictor.config.outChannels, size.height, size.width]);
}

function latentSize(file: CaseFile): { height: number; width: number } {
  const sample = floatTensor(file, "sample");
  return { height: fromEnd(sample, 2), width: fromEnd(sample, 1) };
}
