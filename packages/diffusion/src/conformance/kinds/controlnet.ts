import { type CaseKind, inEveryLayout } from "../attempt.ts";
import { Fields } from "../fields.ts";
import { floatTensor, rowsOf } from "../tensors.ts";
import { networkRows, predict } from "./unet.ts";

/** One call of the UNet with ControlNets. */
export const controlnet: CaseKind = (file, workbench) => {
  const meta = new Fields(file.meta);
  const networks = meta.texts("controlnets");
  const scales = meta.numbers("scales");
  const guess = meta.flag("guess_mode");
  return inEveryLayout(meta.text("checkpoint"), workbench, async ({ model }) => {
    const conditions = networks.map((_, n) => rowsOf(floatTensor(file, `condition.${n}`)));
    const opened = await Promise.all(networks.map((name) => model.controlNetwork(workbench.file(name))));
    const rows = networkRows(file, model).map((row, i) => ({
      ...row,
      controls: opened.map((network, n) => ({
        network,
        condition: conditions[n]?.[i] ?? new Float32Array(0),
        scale: scales[n] ?? 1,
        falloff: guess ? ("guess" as const) : undefined,
      })),
    }));
    return { output: await predict(file, model, rows) };
  });
};
