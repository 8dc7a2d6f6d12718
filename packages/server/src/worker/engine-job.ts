import type { EngineJob, LoraFiles, ModelFiles } from "../engine/picture-engine.ts";
import type { PicturesIn } from "../jobs/pictures-in.ts";
import type { Catalogue } from "../models/catalogue.ts";
import type { JobRow } from "../records/job-store.ts";

/** Finds the files and pictures that a job names. Raises ServiceError when one has gone since the job was accepted. */
export async function engineJobOf(row: JobRow, catalogue: Catalogue, pictures: PicturesIn): Promise<EngineJob> {
  const { request } = row;
  const { hires } = request;
  const files = (name: string, kind: "checkpoint" | "controlnet" | "lora" | "vae" | "embedding", field: string): ModelFiles => {
    const { id, path } = catalogue.require(name, kind, field);
    return { id, path };
  };
  const loraFiles = (loras: typeof request.loras, field: string): LoraFiles[] =>
    loras.map(({ name, weight, text_encoder_weight }) => ({
      ...files(name, "lora", field),
      weight,
      ...(text_encoder_weight === undefined ? {} : { textEncoderWeight: text_encoder_weight }),
    }));
  const read = async (reference: string | undefined) => (reference === undefined ? undefined : await pictures.read(reference));
  const controls: Uint8Array[] = [];
  for (const control of request.controls) controls.push(await pictures.read(control.image));
  return {
    id: row.id,
    request,
    checkpoint: files(request.model, "checkpoint", "model"),
    vae: request.vae === undefined ? undefined : files(request.vae, "vae", "vae"),
    embeddings: (request.embeddings ?? []).map(({ name, token }) => ({
      ...files(name, "embedding", "embeddings"),
      ...(token === undefined ? {} : { token }),
    })),
    refiner: request.refiner?.model === undefined ? undefined : files(request.refiner.model, "checkpoint", "refiner.model"),
    second: hires?.model === undefined ? undefined : files(hires.model, "checkpoint", "hires.model"),
    secondLoras: hires?.loras && loraFiles(hires.loras, "hires.loras"),
    controlnets: request.controls.map((control, index) => files(control.model, "controlnet", `controls.${index}.model`)),
    loras: loraFiles(request.loras, "loras"),
    pictures: { image: await read(request.image), mask: await read(request.mask), controls },
  };
}
