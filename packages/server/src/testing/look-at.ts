import sharp from "sharp";

export interface Look {
  format: string;
  width: number;
  height: number;
  /** Standard deviation of the liveliest channel, 0 to 128; a flat picture has 0. */
  deviation: number;
}

/** Decodes a picture and says what it is. */
export async function lookAt(bytes: Uint8Array): Promise<Look> {
  const { format = "", width = 0, height = 0 } = await sharp(bytes).metadata();
  const { channels } = await sharp(bytes).stats();
  return { format, width, height, deviation: Math.max(...channels.map(({ stdev }) => stdev)) };
}
