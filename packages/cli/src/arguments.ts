import { KilnError } from "@kiln/diffusion";

/** A parser of one option's value: a number. Ranges are the engine's to check. */
export function number(option: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isFinite(value)) throw invalid(option, `${option} must be a number, not "${text}".`);
    return value;
  };
}

/** As `number`, without a fraction. */
export function whole(option: string): (text: string) => number {
  return (text) => {
    if (!/^-?\d{1,15}$/.test(text)) throw invalid(option, `${option} must be a whole number, not "${text}".`);
    return Number(text);
  };
}

/** A seed: 0 to 2^64 - 1, which is more than a number holds. */
export function seed(text: string): bigint {
  if (!/^\d{1,20}$/.test(text)) throw invalid("--seed", `--seed must be a whole number from 0 to 2^64 - 1, not "${text}".`);
  return BigInt(text);
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** `1024x768`, in pixels; one number is a square. */
export function size(text: string): Size {
  const [, width, height = width] = /^(\d{1,5})(?:[x×X](\d{1,5}))?$/.exec(text) ?? [];
  if (width === undefined) throw invalid("--size", `--size must be WIDTHxHEIGHT in pixels, such as 1024x768, not "${text}".`);
  return { width: Number(width), height: Number(height) };
}

const NUMBER = String.raw`-?\d*\.?\d+`;
const LORA = new RegExp(`^(.+?)(?::(${NUMBER}))?(?::(${NUMBER}))?$`);
const CONTROL = new RegExp(`^(.+?):([^:]+?)(?::(${NUMBER}))?(?::(${NUMBER})-(${NUMBER}))?$`);

export interface LoraArgument {
  readonly file: string;
  readonly weight?: number;
  readonly textEncoderWeight?: number;
}

/** `FILE`, `FILE:WEIGHT` or `FILE:WEIGHT:WEIGHT_OF_THE_TEXT_ENCODERS`. */
export function lora(text: string): LoraArgument {
  const [, file, weight, textEncoderWeight] = LORA.exec(text) ?? [];
  if (file === undefined) throw invalid("--lora", `--lora must be FILE or FILE:WEIGHT, not "${text}".`);
  return {
    file,
    ...(weight === undefined ? {} : { weight: Number(weight) }),
    ...(textEncoderWeight === undefined ? {} : { textEncoderWeight: Number(textEncoderWeight) }),
  };
}

export interface ControlArgument {
  readonly model: string;
  readonly image: string;
  readonly scale?: number;
  readonly start?: number;
  readonly end?: number;
}

/** `MODEL:PICTURE`, then `:SCALE`, then `:START-END` in parts of the run. */
export function control(text: string): ControlArgument {
  const [, model, image, scale, start, end] = CONTROL.exec(text) ?? [];
  if (model === undefined || image === undefined)
    throw invalid(
      "--control",
      `--control must be MODEL:PICTURE, MODEL:PICTURE:SCALE or MODEL:PICTURE:SCALE:START-END, not "${text}".`,
    );
  return {
    model,
    image,
    ...(scale === undefined ? {} : { scale: Number(scale) }),
    ...(start === undefined || end === undefined ? {} : { start: Number(start), end: Number(end) }),
  };
}

/** `FILE` or `FILE:TOKEN`. */
export function embedding(text: string): { file: string; token?: string } {
  const [, file, token] = /^(.+?\.safetensors)(?::(.+))?$/.exec(text) ?? [];
  if (file === undefined)
    throw invalid("--embedding", `--embedding must be FILE.safetensors or FILE.safetensors:TOKEN, not "${text}".`);
  return token === undefined ? { file } : { file, token };
}

/** For options that may be repeated: `parse` each value, keep them all. */
export function repeated<T>(parse: (text: string) => T): (text: string, before: readonly T[] | undefined) => T[] {
  return (text, before = []) => [...before, parse(text)];
}

export function invalid(subject: string, message: string): KilnError {
  return new KilnError("invalid_request", message, { subject });
}
