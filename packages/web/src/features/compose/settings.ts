import { asRecord, number, seedText, text } from "../../api/decode.ts";
import type { GenerationRequest, Job, Picture } from "../../api/types.ts";

/** The picture that an image-to-image request starts from. */
export interface SourceImage {
  /** `upload:ID` or `image:ID`. */
  readonly reference: string;
  /** Where its picture is shown from. */
  readonly url: string;
  readonly width: number;
  readonly height: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** What the form holds. A null is "as the model has it": the service completes it, so the choice follows the model when that changes. */
export interface Settings {
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly model: string | null;
  readonly size: Size | null;
  readonly steps: number | null;
  readonly guidanceScale: number | null;
  readonly scheduler: string | null;
  /** Decimal text; empty until a seed is known. */
  readonly seed: string;
  /** Locked: every picture uses the seed above. Unlocked: the service draws a new one each time. */
  readonly seedLocked: boolean;
  readonly count: number;
  readonly source: SourceImage | null;
  readonly strength: number;
}

/** The service's own limits, so that the form does not offer what it would refuse. */
export const LIMITS = {
  side: { min: 64, max: 2048, step: 8 },
  steps: { min: 1, max: 150 },
  guidance: { min: 0, max: 30 },
  count: { min: 1, max: 8 },
  promptCharacters: 10_000,
  seed: 2n ** 64n - 1n,
} as const;

export const INITIAL_SETTINGS: Settings = {
  prompt: "",
  negativePrompt: "",
  model: null,
  size: null,
  steps: null,
  guidanceScale: null,
  scheduler: null,
  seed: "",
  seedLocked: false,
  count: 1,
  source: null,
  strength: 0.6,
};

/** The request that the form stands for. */
export function toRequest(settings: Settings): GenerationRequest {
  const negative = settings.negativePrompt.trim();
  return {
    prompt: settings.prompt.trim(),
    ...(negative !== "" && { negative_prompt: negative }),
    ...(settings.model !== null && { model: settings.model }),
    ...(settings.size !== null && { width: settings.size.width, height: settings.size.height }),
    ...(settings.steps !== null && { steps: settings.steps }),
    ...(settings.guidanceScale !== null && { guidance_scale: settings.guidanceScale }),
    ...(settings.scheduler !== null && { scheduler: settings.scheduler }),
    ...(settings.seedLocked && settings.seed !== "" && { seed: settings.seed }),
    ...(settings.count > 1 && { n: settings.count }),
    ...(settings.source !== null && { image: settings.source.reference, strength: settings.strength }),
  };
}

/** The form that makes `picture` of `job` again: its own seed, locked, and one picture. */
export function settingsOfPicture(
  job: Job,
  picture: Picture | undefined,
  sourceUrl: (reference: string) => string | undefined,
): Settings {
  return settingsOfRequest(job.request, picture, sourceUrl);
}

/** The form that makes the request again, with the seed of `picture` where there is one. */
export function settingsOfRequest(
  request: GenerationRequest,
  picture?: Picture | undefined,
  sourceUrl: (reference: string) => string | undefined = () => undefined,
): Settings {
  const seed = picture?.seed ?? request.seed ?? "";
  const url = request.image === undefined ? undefined : sourceUrl(request.image);
  const size = { width: request.width ?? picture?.width, height: request.height ?? picture?.height };
  return {
    prompt: request.prompt,
    negativePrompt: request.negative_prompt ?? "",
    model: request.model ?? null,
    size: size.width !== undefined && size.height !== undefined ? { width: size.width, height: size.height } : null,
    steps: request.steps ?? null,
    guidanceScale: request.guidance_scale ?? null,
    scheduler: request.scheduler ?? null,
    seed,
    seedLocked: seed !== "",
    count: 1,
    source:
      request.image !== undefined && url !== undefined
        ? { reference: request.image, url, width: size.width ?? 0, height: size.height ?? 0 }
        : null,
    strength: request.strength ?? INITIAL_SETTINGS.strength,
  };
}

/** Reads kept settings; what does not fit this version of the page falls back to its start value. */
export function readSettings(value: unknown): Settings {
  const kept = asRecord(value);
  return {
    prompt: text(kept.prompt) ?? "",
    negativePrompt: text(kept.negativePrompt) ?? "",
    model: text(kept.model) ?? null,
    size: readSize(kept.size),
    steps: within(kept.steps, LIMITS.steps),
    guidanceScale: within(kept.guidanceScale, LIMITS.guidance),
    scheduler: text(kept.scheduler) ?? null,
    seed: seedText(kept.seed) ?? "",
    seedLocked: kept.seedLocked === true,
    count: within(kept.count, LIMITS.count) ?? INITIAL_SETTINGS.count,
    source: readSource(kept.source),
    strength: within(kept.strength, { min: 0, max: 1 }) ?? INITIAL_SETTINGS.strength,
  };
}

function readSize(value: unknown): Size | null {
  const size = asRecord(value);
  const width = within(size.width, LIMITS.side);
  const height = within(size.height, LIMITS.side);
  return width === null || height === null ? null : { width, height };
}

function readSource(value: unknown): SourceImage | null {
  const source = asRecord(value);
  const reference = text(source.reference);
  const url = text(source.url);
  if (reference === undefined || url === undefined || !url.startsWith("/")) return null;
  return { reference, url, width: number(source.width) ?? 0, height: number(source.height) ?? 0 };
}

function within(value: unknown, limits: { readonly min: number; readonly max: number }): number | null {
  const given = number(value);
  return given === undefined || given < limits.min || given > limits.max ? null : given;
}

/** A seed within 32 bits: short enough to read out, and far more of them than anybody draws. */
export function drawSeed(): string {
  const [seed = 0] = crypto.getRandomValues(new Uint32Array(1));
  return String(seed);
}

/** A sentence when the text is no seed, else undefined. */
export function seedFault(seed: string): string | undefined {
  if (seed === "") return undefined;
  if (!/^\d+$/.test(seed)) return "A seed is a whole number, 0 or more.";
  return BigInt(seed) > LIMITS.seed ? `A seed is at most ${LIMITS.seed}.` : undefined;
}
