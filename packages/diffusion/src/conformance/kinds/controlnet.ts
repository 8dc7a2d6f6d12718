import type { Residuals } from "../../index.ts";
import { type CaseKind, inEveryLayout } from "../attempt.ts";
import { Fields } from "../fields.ts";
import { floatTensor, rowsOf } from "../tensors.ts";
import { latentSize, networkRows, predict } from "./unet.ts";

/** One call of the UNet with the summed residuals of ControlNets. */
export const controlnet: CaseKind = (file, workbench) => {
  const meta = new Fields(file.meta);
  const networks = meta.texts("controlnets");
  const scales = meta.numbers("scales");
  const guess = meta.flag("guess_mode");
  return inEveryLayout(meta.text("checkpoint"), workbench, async ({ model }) => {
    const rows = networkRows(file, model);
    let residuals: Residuals = {};
    for (const [n, name] of networks.entries()) {
      const network = await model.controlNetwork(workbench.file(name));
      const conditions = rowsOf(floatTensor(file, `condition.${n}`));
      const controlled = rows.map((row, place) => ({
        row,
        place,
        condition: conditions[place] ?? new Float32Array(0),
        scale: scales[n] ?? 1,
        guess,
      }));
      residuals = await network.addResiduals(controlled, latentSize(file), rows.length, residuals);
    }
    return { output: await predict(file, model, rows, residuals) };
  });
};
