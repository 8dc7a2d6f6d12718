import { z } from "zod";
import { MAX_LORAS } from "../jobs/limits.ts";

export interface LoraSetting {
  /** A file, or a name of the catalogue. */
  name: string;
  weight: number;
}

const WEIGHT = /^(.+):([+-]?\d+(?:\.\d+)?)$/;
const MOST_WEIGHT = 4;

/** `"style.safetensors:0.8,detail.safetensors"` as LoRAs with their weights; 1 where none is said. */
export const lorasSchema = z
  .string()
  .min(1)
  .transform((text) =>
    text.split(",").map((part): LoraSetting => {
      const [, name = part, weight = "1"] = WEIGHT.exec(part.trim()) ?? [];
      return { name: name.trim(), weight: Number(weight) };
    }),
  )
  .refine((loras) => loras.length <= MAX_LORAS, `may name at most ${MAX_LORAS} LoRAs`)
  .refine((loras) => loras.every(({ name }) => name !== ""), "must be FILE or FILE:WEIGHT, several of them by commas")
  .refine(
    (loras) => loras.every(({ weight }) => Math.abs(weight) <= MOST_WEIGHT),
    `must have weights from -${MOST_WEIGHT} to ${MOST_WEIGHT}`,
  );
