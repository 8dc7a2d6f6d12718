import { ServiceError } from "../../errors.ts";
import type { ServerContext } from "../../http/dialect.ts";
import { infotextOf } from "../../jobs/infotext.ts";
import type { JobWithImages } from "../../jobs/job-service.ts";
import { shownSeed } from "../../jobs/job-view.ts";
import { follow, variationSeedOfPicture } from "../../jobs/picture-seeds.ts";
import type { ImageRow, JobRow } from "../../records/job-store.ts";
import type { Plan } from "./to-native.ts";

/** The time in A1111's form, 20261121100301. */
export function timestamp(date: Date): string {
  return date.toISOString().replace(/\D/g, "").slice(0, 14);
}

/** The pictures in base64, without a prefix. */
export async function picturesOf(done: readonly JobWithImages[], { jobs }: ServerContext): Promise<string[]> {
  const pictures: string[] = [];
  for (const image of done.flatMap(({ images }) => images)) {
    const bytes = await jobs.bytesOf(image);
    if (!bytes) throw new ServiceError("internal", "The picture was made, and the storage does not have it any more.");
    pictures.push(bytes.toString("base64"));
  }
  return pictures;
}

/** The text of A1111's `info`. */
export function infoOf(plan: Plan, done: readonly JobWithImages[], { version }: ServerContext): string {
  const made = done.flatMap(({ row, images }) => images.map((image) => ({ row, image })));
  const [first] = done;
  if (!first) throw new ServiceError("internal", "The call made no job.");
  const { request } = first.row;
  const seeds = made.length > 0 ? made.map(({ image }) => shownSeed(image.seed)) : [shownSeed(plan.seed)];
  const subseeds = made.length > 0 ? made.map((each) => shownSeed(subseedOf(plan, each))) : [shownSeed(plan.subseed)];
  const { width, height } = made[0]?.image ?? request;
  return JSON.stringify({
    prompt: plan.prompt,
    all_prompts: seeds.map(() => plan.prompt),
    negative_prompt: plan.negativePrompt,
    all_negative_prompts: seeds.map(() => plan.negativePrompt),
    seed: seeds[0],
    all_seeds: seeds,
    subseed: subseeds[0],
    all_subseeds: subseeds,
    subseed_strength: request.variation?.strength ?? 0,
    width,
    height,
    sampler_name: request.a1111?.sampler ?? request.scheduler_label,
    cfg_scale: request.guidance_scale,
    steps: request.steps,
    batch_size: plan.batchSize,
    restore_faces: false,
    face_restoration_model: null,
    sd_model_name: request.model,
    sd_model_hash: null,
    sd_vae_name: request.vae ?? null,
    sd_vae_hash: null,
    seed_resize_from_w: request.seed_resize_from?.width ?? -1,
    seed_resize_from_h: request.seed_resize_from?.height ?? -1,
    denoising_strength: request.strength ?? request.hires?.strength ?? null,
    extra_generation_params: {},
    index_of_first_image: 0,
    infotexts: made.map(({ row, image }) => describe(plan, row, image)),
    styles: plan.styles,
    job_timestamp: timestamp(first.row.created_at),
    clip_skip: plan.clipSkip,
    is_using_inpainting_conditioning: false,
    version: `Kiln ${version}`,
    comments: plan.remarks.join("\n"),
  });
}

/** Where nothing is mixed in, A1111 counts a subseed on all the same. */
function subseedOf({ seed, subseed }: Plan, { row, image }: { row: JobRow; image: ImageRow }): string {
  const place = Number(BigInt(image.seed) - BigInt(seed));
  return variationSeedOfPicture(row.request, image.position) ?? follow(subseed, place);
}

/** As the parameters of the job say it, with A1111's clip skip also where its SDXL does not look at that. */
function describe({ clipSkip }: Plan, { request }: JobRow, image: ImageRow): string {
  return infotextOf({ ...request, clip_skip: clipSkip - 1 }, image.position);
}
