import { randomUUID } from "node:crypto";
import { rename, rm, writeFile } from "node:fs/promises";
import { extname } from "node:path";
import { KilnError } from "../errors.ts";
import type { PictureFormat } from "../pictures/decode.ts";
import type { Picture } from "../pictures/picture.ts";
import { encodePicture, type PictureMetadata } from "../pictures/picture-metadata.ts";
import type { LatentSource } from "./request.ts";

/** How a picture becomes a file: with its parameters (the default) or without, and of which quality. */
export interface EncodeOptions {
  readonly metadata?: boolean;
  /** Of JPEG and WebP, 1 to 100. */
  readonly quality?: number;
}

/** A finished picture, with everything that made it. */
export class GeneratedPicture {
  readonly width: number;
  readonly height: number;
  readonly seed: bigint;
  /** RGB, one byte a channel. */
  readonly picture: Picture;
  /** What was drawn, [3, height, width] as the autoencoder gave it: about -1..1, not clamped. Where `inpaint` put it into the given picture, without that. */
  readonly pixels: Float32Array;
  /** The final latents, as the UNet sees them: give them as `image` to go on from here. */
  readonly latents: LatentSource;
  /** AUTOMATIC1111's text and Kiln's JSON, as they are written into PNG files. */
  readonly metadata: PictureMetadata;

  constructor(parts: Pick<GeneratedPicture, "seed" | "picture" | "pixels" | "latents" | "metadata">) {
    this.seed = parts.seed;
    this.picture = parts.picture;
    this.pixels = parts.pixels;
    this.latents = parts.latents;
    this.metadata = parts.metadata;
    this.width = parts.picture.width;
    this.height = parts.picture.height;
  }

  /** The picture as the bytes of a file. */
  async encode(format: PictureFormat, { metadata = true, quality }: EncodeOptions = {}): Promise<Uint8Array> {
    const encoding = format === "png" ? { format } : { format, quality };
    return encodePicture(this.picture, encoding, metadata ? this.metadata : {});
  }

  /**
   * Writes the picture to a file, as PNG, JPEG or WebP by the file's name. The file appears when it is whole, or not at all.
   * @throws KilnError invalid_request for another ending; file_not_found where the folder cannot be written to.
   */
  async save(path: string, options: EncodeOptions = {}): Promise<void> {
    const format = FORMATS[extname(path).toLowerCase()];
    if (!format)
      throw new KilnError("invalid_request", `${path} must end in ${Object.keys(FORMATS).join(", ")}.`, { subject: path });
    const bytes = await this.encode(format, options);
    const partial = `${path}.${randomUUID()}.partial`;
    try {
      await writeFile(partial, bytes);
      await rename(partial, path);
    } catch (cause) {
      await rm(partial, { force: true });
      throw new KilnError("file_not_found", `${path} cannot be written: check that its folder exists and has room.`, {
        subject: path,
        cause,
      });
    }
  }
}

const FORMATS: Readonly<Record<string, PictureFormat>> = {
  ".png": "png",
  ".jpg": "jpeg",
  ".jpeg": "jpeg",
  ".webp": "webp",
};
