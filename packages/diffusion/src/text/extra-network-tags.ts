/** A LoRA that a prompt asks for by name. */
export interface LoraTag {
  readonly name: string;
  /** Weight for the text encoders. */
  readonly textEncoderWeight: number;
  /** Weight for the UNet. */
  readonly unetWeight: number;
}

export interface ExtractedTags {
  /** The prompt without its tags. */
  readonly text: string;
  readonly loras: readonly LoraTag[];
}

/** File names have at most 255 bytes; a tag adds a few numbers. A bound keeps the search linear. */
const TAG = /<(?:lora|lyco):([^<>]{1,300})>/gi;

/**
 * Takes AUTOMATIC1111's tags out of a prompt: `<lora:name>`, `<lora:name:weight>`, `<lora:name:te weight:unet weight>`
 * and the named forms `te=` and `unet=`; `<lyco:...>` likewise. A weight that is not given is 1; the UNet's is the
 * text encoders' where it is not given. A tag whose weight is not a number stays in the text.
 */
export function extractLoraTags(prompt: string): ExtractedTags {
  const loras: LoraTag[] = [];
  const text = prompt.replace(TAG, (tag, content: string) => {
    const lora = parseTag(content);
    if (lora === undefined) return tag;
    loras.push(lora);
    return "";
  });
  return { text, loras };
}

function parseTag(content: string): LoraTag | undefined {
  const positional: string[] = [];
  const named = new Map<string, string>();
  for (const item of content.split(":")) {
    const equals = item.indexOf("=");
    if (equals > 0) named.set(item.slice(0, equals).trim(), item.slice(equals + 1));
    else positional.push(item);
  }
  const name = positional[0]?.trim();
  if (name === undefined || name === "") return undefined;
  const textEncoderWeight = toNumber(named.get("te") ?? positional[1], 1);
  const unetWeight = toNumber(named.get("unet") ?? positional[2], textEncoderWeight);
  if (!Number.isFinite(textEncoderWeight) || !Number.isFinite(unetWeight)) return undefined;
  return { name, textEncoderWeight, unetWeight };
}

function toNumber(text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  return text.trim() === "" ? Number.NaN : Number(text);
}
