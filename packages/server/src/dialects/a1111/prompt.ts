import { extractLoraTags } from "@kiln/diffusion";
import type { ServerContext } from "../../http/dialect.ts";
import type { GenerationRequestInput } from "../../jobs/request.ts";

export interface PromptStyle {
  name: string;
  prompt: string;
  negative_prompt: string;
}

/** The operator's themes that say anything, as A1111's styles. */
export function stylesOf({ presets }: ServerContext): PromptStyle[] {
  return Object.entries(presets.themes)
    .map(([name, { prompt = "", loras }]) => {
      const tags = loras.map((lora) => `<lora:${lora.name}:${lora.weight}>`);
      return { name, prompt: [prompt, ...tags].filter((part) => part !== "").join(" "), negative_prompt: "" };
    })
    .filter(({ prompt }) => prompt !== "");
}

/** The prompt with its styles: each goes where it says `{prompt}`, else behind it. Unknown ones are left out, as in A1111. */
export function withStyles(prompt: string, names: readonly string[], styles: readonly PromptStyle[]): string {
  return names.reduce((text, name) => {
    const style = styles.find((each) => each.name === name)?.prompt;
    if (style === undefined) return text;
    if (style.includes("{prompt}")) return style.replaceAll("{prompt}", () => text);
    return text.trim() === "" ? style : `${text.trim()}, ${style}`;
  }, prompt);
}

export interface ReadPrompt {
  text: string;
  loras: NonNullable<GenerationRequestInput["loras"]>;
  /** Names in tags of LoRAs that are not installed; A1111 draws without them and says so. */
  unknown: string[];
}

/** Takes the LoRA tags out of a prompt. */
export function readPrompt(prompt: string, { catalogue }: ServerContext): ReadPrompt {
  const { text, loras } = extractLoraTags(prompt);
  const isThere = (name: string) => catalogue.find(name, "lora") !== undefined;
  return {
    text: loras.length > 0 ? text.trim() : text,
    loras: loras
      .filter(({ name }) => isThere(name))
      .map(({ name, unetWeight, textEncoderWeight }) => ({
        name,
        weight: unetWeight,
        ...(textEncoderWeight === unetWeight ? {} : { text_encoder_weight: textEncoderWeight }),
      })),
    unknown: loras.filter(({ name }) => !isThere(name)).map(({ name }) => name),
  };
}

/** What A1111 says of them. */
export function networksNotFound({ unknown }: ReadPrompt): string[] {
  return unknown.length > 0 ? [`Networks not found: ${unknown.join(", ").slice(0, 500)}`] : [];
}
