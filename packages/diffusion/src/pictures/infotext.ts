/** AUTOMATIC1111's generation parameters, taken apart. */
export interface Infotext {
  readonly prompt: string;
  readonly negativePrompt: string;
  /** "Steps", "Sampler", "CFG scale" ... in their order, under the names that AUTOMATIC1111 gives them. */
  readonly settings: ReadonlyMap<string, string>;
}

/** What `formatInfotext` takes; a setting that is undefined is left out. */
export interface InfotextInput {
  readonly prompt: string;
  readonly negativePrompt?: string | undefined;
  readonly settings: Iterable<readonly [name: string, value: string | number | undefined]>;
}

/** The settings that every picture has, in AUTOMATIC1111's order. `undefined` leaves one out. */
export interface CommonSettings {
  readonly steps: number;
  /** AUTOMATIC1111's name: "Euler a", "DPM++ 2M". */
  readonly sampler: string;
  /** "Automatic", "Karras" ... */
  readonly scheduleType?: string | undefined;
  readonly cfgScale: number;
  /** Decimal, because seeds reach 2^64 - 1. */
  readonly seed: string | number;
  readonly width: number;
  readonly height: number;
  readonly modelHash?: string | undefined;
  readonly model?: string | undefined;
  readonly vaeHash?: string | undefined;
  readonly vae?: string | undefined;
  readonly denoisingStrength?: number | undefined;
  readonly clipSkip?: number | undefined;
  /** "CPU" or "NV"; AUTOMATIC1111 leaves out its own default, "GPU". */
  readonly randomSource?: string | undefined;
  /** Whatever else there is to say, under AUTOMATIC1111's names. */
  readonly extra?: Iterable<readonly [name: string, value: string | number | undefined]>;
  /** "Kiln 0.1.0". */
  readonly version: string;
}

/** Longer texts are cut before they are parsed; real ones have a few thousand characters. */
const MAX_INFOTEXT_CHARACTERS = 65_536;

/** `Name: value`, the value quoted as JSON or without commas. The name's length is bounded, which keeps the search linear. */
const SETTING = /\s*(\w[\w \-/]{1,100}):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)/g;
const NEGATIVE = "Negative prompt:";
/** AUTOMATIC1111 takes the last line for settings where it finds at least this many in it. */
const LEAST_SETTINGS = 3;

/** The common settings by name, for `formatInfotext`. */
export function commonSettings(settings: CommonSettings): [string, string | number | undefined][] {
  return [
    ["Steps", settings.steps],
    ["Sampler", settings.sampler],
    ["Schedule type", settings.scheduleType],
    ["CFG scale", settings.cfgScale],
    ["Seed", settings.seed],
    ["Size", `${settings.width}x${settings.height}`],
    ["Model hash", settings.modelHash],
    ["Model", settings.model],
    ["VAE hash", settings.vaeHash],
    ["VAE", settings.vae],
    ["Denoising strength", settings.denoisingStrength],
    ["Clip skip", settings.clipSkip],
    ["RNG", settings.randomSource],
    ...[...(settings.extra ?? [])].map(([name, value]): [string, string | number | undefined] => [name, value]),
    ["Version", settings.version],
  ];
}

/** Writes AUTOMATIC1111's infotext: prompt, negative prompt where there is one, and one line of settings. */
export function formatInfotext({ prompt, negativePrompt, settings }: InfotextInput): string {
  const line = [...settings]
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${quote(String(value))}`]))
    .join(", ");
  const negative = negativePrompt === undefined || negativePrompt === "" ? "" : `\n${NEGATIVE} ${negativePrompt}`;
  return `${prompt}${negative}\n${line}`.trim();
}

/** Reads an infotext as AUTOMATIC1111 does. Any text is one: without settings, all of it is prompt. */
export function parseInfotext(text: string): Infotext {
  const lines = text.slice(0, MAX_INFOTEXT_CHARACTERS).trim().split("\n");
  const last = lines.pop() ?? "";
  const found = [...last.matchAll(SETTING)];
  if (found.length < LEAST_SETTINGS) lines.push(last);
  const settings = new Map(
    found.length < LEAST_SETTINGS ? [] : found.map(([, name = "", value = ""]): [string, string] => [name, unquote(value)]),
  );
  const prompt: string[] = [];
  const negative: string[] = [];
  let current = prompt;
  for (const line of lines.map((each) => each.trim())) {
    if (!line.startsWith(NEGATIVE)) current.push(line);
    else {
      current = negative;
      current.push(line.slice(NEGATIVE.length).trim());
    }
  }
  return { prompt: prompt.join("\n"), negativePrompt: negative.join("\n"), settings };
}

/** The numbers of a "512x768", as in the setting "Size". */
export function parseSize(value: string | undefined): { readonly width: number; readonly height: number } | undefined {
  const match = /^(\d{1,6})x(\d{1,6})$/.exec(value ?? "");
  return match === null ? undefined : { width: Number(match[1]), height: Number(match[2]) };
}

/** Values with a comma, a colon or a line break would be taken apart, so they are written as JSON strings. */
function quote(value: string): string {
  return /[,:\n]/.test(value) ? JSON.stringify(value) : value;
}

function unquote(value: string): string {
  if (!value.startsWith('"') || !value.endsWith('"') || value.length < 2) return value;
  try {
    const parsed: unknown = JSON.parse(value);
    return typeof parsed === "string" ? parsed : value;
  } catch {
    return value;
  }
}
