import type { FastifyRequest } from "fastify";
import type { Caller } from "../../auth/caller.ts";
import { messageOf, ServiceError } from "../../errors.ts";
import type { ServerContext } from "../../http/dialect.ts";
import { MAX_SIDE, MIN_SIDE, SIDE_MULTIPLE } from "../../jobs/limits.ts";
import { inspectPicture } from "../../jobs/pictures-in.ts";
import { fitPicture, maskFromAlpha } from "../fit-picture.ts";
import { missing, modelOf, type StoredPictures, sizeLike, sizeOf } from "./request.ts";

export interface ImageForm {
  /** The text fields, those that are numbers and flags as such. */
  fields: Record<string, unknown>;
  image: Buffer | undefined;
  mask: Buffer | undefined;
}

const WHOLE_NUMBERS = new Set(["n", "output_compression", "partial_images"]);

/** Reads `multipart/form-data`; the picture is `image` or `image[]`. Raises for a body that is none, and for several pictures. */
export async function readForm(request: FastifyRequest): Promise<ImageForm> {
  if (!request.isMultipart()) {
    throw new ServiceError("malformed", "This address takes multipart/form-data with the picture as the file `image`.", {
      field: "image",
    });
  }
  try {
    return await readParts(request);
  } catch (error) {
    // The parser's own errors say their status; a body that ends early has none.
    if (typeof error === "object" && error !== null && ("statusCode" in error || "status" in error)) throw error;
    throw new ServiceError("malformed", `The body is no multipart/form-data: ${messageOf(error)}.`, { cause: error });
  }
}

async function readParts(request: FastifyRequest): Promise<ImageForm> {
  const fields: Record<string, unknown> = {};
  const images: Buffer[] = [];
  let mask: Buffer | undefined;
  let further = 0;
  for await (const part of request.parts()) {
    if (part.type === "field") fields[part.fieldname] = readField(part.fieldname, part.value);
    else if (part.fieldname === "mask" && !mask) mask = await part.toBuffer();
    else if (/^image(?:\[\d*\])?$/.test(part.fieldname) && images.length === 0) images.push(await part.toBuffer());
    else {
      if (part.fieldname.startsWith("image")) further++;
      part.file.resume();
    }
  }
  if (further > 0) {
    const message = `image: ${images.length + further} pictures were sent, and the limit is 1: SDXL edits one picture and takes no others beside it.`;
    throw new ServiceError("invalid_request", message, { field: "image" });
  }
  return { fields, image: images[0], mask };
}

function readField(name: string, value: unknown): unknown {
  if (typeof value !== "string") return value;
  if (WHOLE_NUMBERS.has(name) && /^\d{1,9}$/.test(value)) return Number(value);
  return name === "stream" && (value === "true" || value === "false") ? value === "true" : value;
}

/**
 * Brings the form's pictures to the size that is drawn and stores them. The mask is white where the contract's is
 * transparent; without one, transparent parts of the picture itself are what is painted anew. Where nothing is
 * `masked`, as in variations, neither is looked at.
 */
export async function storePictures(
  { image, mask }: ImageForm,
  asked: { model?: string | null | undefined; size?: string | null | undefined },
  caller: Caller,
  context: ServerContext,
  masked: boolean,
): Promise<StoredPictures> {
  if (!image) throw missing("image");
  const own = await inspectPicture(image, "image");
  const { width, height } = sizeOf(asked.size) ?? sizeLike(own, modelOf(asked.model, context));
  requireSize(width, height);
  if (mask && masked) {
    const given = await inspectPicture(mask, "mask");
    if (given.width !== own.width || given.height !== own.height) {
      const message = `mask: is ${given.width}x${given.height} and the image ${own.width}x${own.height}; both must have the same size.`;
      throw new ServiceError("invalid_request", message, { field: "mask" });
    }
  }
  const white = masked ? await (mask ? maskFromAlpha(mask, true, "mask") : maskFromAlpha(image, false, "image")) : undefined;
  const store = async (bytes: Uint8Array, field: string) => {
    const fitted = await fitPicture(bytes, width, height, "cover", field);
    return `upload:${(await context.pictures.store(fitted, caller, field)).id}`;
  };
  return { image: await store(image, "image"), mask: white && (await store(white, "mask")), width, height };
}

/** Checked before anything is resized to it; the rest of a request is checked when it is submitted. */
function requireSize(width: number, height: number): void {
  const isDrawn = (side: number) => side >= MIN_SIDE && side <= MAX_SIDE && side % SIDE_MULTIPLE === 0;
  if (isDrawn(width) && isDrawn(height)) return;
  const rule = `both sides must be multiples of ${SIDE_MULTIPLE} from ${MIN_SIDE} to ${MAX_SIDE}`;
  throw new ServiceError("invalid_request", `size: ${rule}.`, { field: "size" });
}
