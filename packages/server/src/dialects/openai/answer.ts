import { ServiceError } from "../../errors.ts";
import type { ServerContext } from "../../http/dialect.ts";
import type { JobWithImages } from "../../jobs/job-service.ts";
import type { CompleteRequest } from "../../jobs/request.ts";
import type { ImageRow } from "../../records/job-store.ts";
import type { CommonFields } from "./request.ts";

/** What is said of the pictures beside their bytes. SDXL draws no transparency, and pictures are not counted in tokens here. */
export interface PictureFacts {
  background: "opaque";
  output_format: string;
  quality: "low" | "medium" | "high";
  size: string;
}

export const NO_USAGE = {
  input_tokens: 0,
  input_tokens_details: { image_tokens: 0, text_tokens: 0 },
  output_tokens: 0,
  total_tokens: 0,
};

export function factsOf(
  fields: CommonFields,
  request: Pick<CompleteRequest, "output">,
  { width, height }: { width: number; height: number },
): PictureFacts {
  const { quality } = fields;
  return {
    background: "opaque",
    output_format: request.output.format,
    quality: quality === "low" ? "low" : quality === "high" || quality === "hd" ? "high" : "medium",
    size: `${width}x${height}`,
  };
}

/** The bytes of a picture in base64. Raises when the storage has lost it. */
export async function base64Of(image: ImageRow, { jobs }: ServerContext): Promise<string> {
  const bytes = await jobs.bytesOf(image);
  if (!bytes) throw new ServiceError("internal", "The picture was made, and the storage does not have it any more.");
  return bytes.toString("base64");
}

/** The contract's answer to a call that is not streamed. */
export async function imagesResponse(
  done: readonly JobWithImages[],
  fields: CommonFields,
  base64: boolean,
  context: ServerContext,
  base: string,
): Promise<object> {
  const images = done.flatMap((job) => job.images);
  const [first] = done;
  const [picture] = images;
  if (!first || !picture) throw new ServiceError("internal", "The job has no picture.");
  const data: object[] = [];
  for (const image of images) {
    data.push(base64 ? { b64_json: await base64Of(image, context) } : { url: await context.jobs.addressOf(image, base) });
  }
  return {
    created: Math.floor((first.row.finished_at ?? new Date()).getTime() / 1000),
    data,
    ...factsOf(fields, first.row.request, picture),
    usage: NO_USAGE,
  };
}
