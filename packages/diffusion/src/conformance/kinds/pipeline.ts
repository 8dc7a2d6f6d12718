import type { GeneratedPicture, GenerateProgress } from "../../index.ts";
import type { CaseFile } from "../../testing/case-file.ts";
import type { CaseKind } from "../attempt.ts";
import { countedTensors, type Produced, type ProducedTensors } from "../comparison.ts";
import { Fields } from "../fields.ts";
import { pipelineRequests } from "../pipeline-requests.ts";
import { stack } from "../tensors.ts";
import type { Workbench } from "../workbench.ts";

/** Whole pictures; all of a case's pictures are drawn at once. */
export const pipeline: CaseKind = (file, workbench) => [{ label: "", make: () => draw(file, workbench) }];

async function draw(file: CaseFile, workbench: Workbench): Promise<ProducedTensors> {
  const drawing = await workbench.pipeline(new Fields(file.meta).text("checkpoint"));
  const requests = pipelineRequests(file, workbench, drawing.model.checkpoint.family === "sd15");
  const wanted = countedTensors(file);
  const drawn = await Promise.all(
    requests.map(async (request) => {
      const after = new Map<string, Float32Array>();
      const [picture] = await drawing.generate(request, { onProgress: (progress) => keep(progress, wanted, after) });
      if (!picture) throw new Error("no picture was drawn");
      return { picture, after };
    }),
  );
  const pictures = drawn.map(({ picture }) => picture);
  const shape = latentShape(pictures);
  const final = stack(
    pictures.map(({ latents }) => latents.latents),
    shape,
  );
  const made: Record<string, Produced> = { "latents.final": final, "latents.output": final, "image.float": toImages(pictures) };
  for (const name of wanted.filter((each) => each.startsWith(AFTER))) {
    const rows = drawn.flatMap(({ after }) => after.get(name) ?? []);
    if (rows.length === pictures.length) made[name] = stack(rows, shape);
  }
  return made;
}

const AFTER = "latents.after.";

/** Keeps the latents after the evaluations that the case looks at, which it counts from 0. */
function keep({ phase, step, latents }: GenerateProgress, wanted: readonly string[], after: Map<string, Float32Array>): void {
  const name = `${AFTER}${String(step - 1).padStart(2, "0")}`;
  if (phase === "denoising" && latents && wanted.includes(name)) after.set(name, latents.latents.slice());
}

function latentShape([first]: readonly GeneratedPicture[]): readonly number[] {
  if (!first) throw new Error("the case has no seed");
  const { latents, height, width } = first.latents;
  return [latents.length / (height * width), height, width];
}

/** From channels first in -1..1 to channels last in 0..1, as diffusers gives pictures. */
function toImages(pictures: readonly GeneratedPicture[]): Produced {
  const rows = pictures.map(({ pixels, width, height }) => {
    const area = width * height;
    const channels = pixels.length / area;
    return Float32Array.from(pixels, (_, i) => {
      const value = pixels[(i % channels) * area + Math.floor(i / channels)] ?? Number.NaN;
      return Number.isNaN(value) ? value : Math.min(Math.max(value / 2 + 0.5, 0), 1);
    });
  });
  const [first] = pictures;
  return stack(rows, [first?.height ?? 0, first?.width ?? 0, 3]);
}
