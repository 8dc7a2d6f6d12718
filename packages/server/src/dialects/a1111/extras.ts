import { parseInfotext, readPictureMetadata } from "@kiln/diffusion";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import sharp from "sharp";
import { z } from "zod";
import { ServiceError } from "../../errors.ts";
import { MAX_BODY_BYTES, MAX_INPUT_PIXELS } from "../../jobs/limits.ts";
import { decodeBase64, inspectPicture } from "../../jobs/pictures-in.ts";
import { number, parseFields, wholeNumber } from "../field-errors.ts";
import { looseFlag } from "../loose.ts";
import { sendA1111Error } from "./errors.ts";
import { UPSCALERS } from "./hires.ts";

/** Pictures of one batch: all of them are in memory at once. */
const MAX_BATCH = 16;
const MAX_SCALE = 8;
const MAX_SIDE = 8192;

const picture = z.string().max(MAX_BODY_BYTES);
const fraction = number((schema) => schema.min(0).max(1)).nullish();
const side = wholeNumber((schema) => schema.min(1).max(MAX_SIDE)).nullish();

const extras = {
  resize_mode: wholeNumber((schema) => schema.min(0).max(1)).nullish(),
  // In A1111 it is about folders alone: a picture that was sent comes back whatever it says.
  show_extras_results: looseFlag.nullish(),
  gfpgan_visibility: fraction,
  codeformer_visibility: fraction,
  codeformer_weight: fraction,
  upscaling_resize: number((schema) => schema.gt(0).max(MAX_SCALE)).nullish(),
  upscaling_resize_w: side,
  upscaling_resize_h: side,
  upscaling_crop: looseFlag.nullish(),
  upscaler_1: z.string().max(200).nullish(),
  upscaler_2: z.string().max(200).nullish(),
  extras_upscaler_2_visibility: fraction,
  upscale_first: looseFlag.nullish(),
};

const singleSchema = z.object({ ...extras, image: picture });
const batchSchema = z.object({
  ...extras,
  imageList: z
    .array(z.object({ data: picture, name: z.string().nullish() }))
    .min(1)
    .max(MAX_BATCH),
});
const pngInfoSchema = z.object({ image: picture });

type ExtrasFields = z.output<z.ZodObject<typeof extras>>;

/** The fields of these routes are called what they are called here. */
const ownNames = {
  errorHandler: (error: unknown, request: FastifyRequest, reply: FastifyReply) => sendA1111Error(error, request, reply, {}),
};

export function registerExtras(app: FastifyInstance): void {
  app.post("/sdapi/v1/extra-single-image", ownNames, async (request) => {
    const { image, ...fields } = parseFields(singleSchema, request.body, "body");
    const enlarged = await enlarge(image, fields, "image");
    return { html_info: htmlInfo(fields), image: enlarged };
  });

  app.post("/sdapi/v1/extra-batch-images", ownNames, async (request) => {
    const { imageList, ...fields } = parseFields(batchSchema, request.body, "body");
    const images: string[] = [];
    for (const { data } of imageList) images.push(await enlarge(data, fields, "imageList"));
    return { html_info: htmlInfo(fields), images };
  });

  app.post("/sdapi/v1/png-info", ownNames, async (request) => {
    const { image } = parseFields(pngInfoSchema, request.body, "body");
    const bytes = decodeBase64(image.trim(), "image");
    await inspectPicture(bytes, "image");
    const { parameters: info = "" } = await readPictureMetadata(bytes);
    return { info, items: info === "" ? {} : { parameters: info }, parameters: parametersOf(info) };
  });
}

/** Resizes pixels: no model that invents detail is installed. Raises `picture_invalid`, also for a result that is too large. */
async function enlarge(base64: string, fields: ExtrasFields, field: string): Promise<string> {
  const bytes = decodeBase64(base64, field);
  const { width, height } = await inspectPicture(bytes, field);
  const scale = fields.upscaling_resize ?? 2;
  const target =
    fields.resize_mode === 1
      ? { width: fields.upscaling_resize_w ?? 512, height: fields.upscaling_resize_h ?? 512 }
      : { width: Math.max(1, Math.trunc(width * scale)), height: Math.max(1, Math.trunc(height * scale)) };
  if (target.width * target.height > MAX_INPUT_PIXELS || Math.max(target.width, target.height) > MAX_SIDE) {
    const size = `${target.width} x ${target.height}`;
    throw new ServiceError("picture_invalid", `${field}: would become ${size}; ${MAX_INPUT_PIXELS} pixels are the most.`, {
      field,
    });
  }
  const fit = fields.resize_mode === 1 && fields.upscaling_crop === false ? "inside" : "cover";
  const kernel = fields.upscaler_1 === "Nearest" ? "nearest" : "lanczos3";
  try {
    const enlarged = sharp(bytes, { limitInputPixels: MAX_INPUT_PIXELS })
      .autoOrient()
      .resize(target.width, target.height, { fit, kernel });
    return (await enlarged.png().toBuffer()).toString("base64");
  } catch (error) {
    throw new ServiceError("picture_invalid", `${field} is damaged or cut; send it again.`, { field, cause: error });
  }
}

/** What was not done, in the field that A1111 describes its work in. */
function htmlInfo(fields: ExtrasFields): string {
  const used = (name: string | null | undefined) => name !== null && name !== undefined && !UPSCALERS.includes(name);
  const faces = (fields.gfpgan_visibility ?? 0) > 0 || (fields.codeformer_visibility ?? 0) > 0;
  const remarks = [
    ...(used(fields.upscaler_1) || (used(fields.upscaler_2) && (fields.extras_upscaler_2_visibility ?? 0) > 0)
      ? ["The upscaler is not installed; Lanczos was used."]
      : []),
    ...(faces ? ["No face restoration is installed; faces were left as they are."] : []),
  ];
  return remarks.map((remark) => `<p>${remark}</p>`).join("");
}

/** The infotext in parts, under A1111's names. */
function parametersOf(info: string): Record<string, string> {
  if (info === "") return {};
  const { prompt, negativePrompt, settings } = parseInfotext(info);
  const parts = [...settings].flatMap(([name, value]): [string, string][] => {
    const [, width, height] = /^(\d+)x(\d+)$/.exec(value) ?? [];
    if (width === undefined || height === undefined) return [[name, value]];
    return [
      [`${name}-1`, width],
      [`${name}-2`, height],
    ];
  });
  return { Prompt: prompt, "Negative prompt": negativePrompt, "Clip skip": "1", ...Object.fromEntries(parts) };
}
