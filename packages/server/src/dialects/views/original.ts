import { randomBytes } from "node:crypto";
import type { ViewJobData } from "./view-job.ts";

/** A photo as its form brought it. */
export interface Photo {
  /** As the client calls it; not to be trusted. */
  name: string;
  bytes: Buffer;
}

const FORMATS: readonly [string, string, string][] = [
  ["\x89PNG", "png", "png"],
  ["\xff\xd8", "jpeg", "jpg"],
  ["RIFF", "webp", "webp"],
];

/** `originals/<name>`: the client's name as far as it is harmless, and a part that keeps names apart. */
export function originalOf({ name, bytes }: Photo): ViewJobData["original"] {
  const head = bytes.subarray(0, 4).toString("latin1");
  const [, format = "jpeg", extension = "jpg"] = FORMATS.find(([signature]) => head.startsWith(signature)) ?? [];
  const plain = name
    .replace(/\.[^.]*$/, "")
    .replace(/[^A-Za-z0-9_-]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 60);
  return { key: `originals/${plain === "" ? "photo" : plain}_${randomBytes(6).toString("hex")}.${extension}`, format };
}
