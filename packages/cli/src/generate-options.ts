import {
  type Device,
  type GenerateRequest,
  KilnError,
  type Precision,
  type PromptSyntax,
  type RandomKind,
  type SchedulerRequest,
} from "@kiln/diffusion";
import { type ControlArgument, invalid, type LoraArgument, type Size } from "./arguments.ts";
import type { Format } from "./output-files.ts";

/** The options of `kiln generate`, as they were given. */
export interface GenerateOptions {
  readonly model?: string;
  readonly config?: string;
  readonly vae?: string;
  readonly negative?: string;
  readonly prompt2?: string;
  readonly syntax?: PromptSyntax;
  readonly clipSkip?: number;
  readonly embedding?: readonly { file: string; token?: string }[];
  readonly size?: Size;
  readonly width?: number;
  readonly height?: number;
  readonly steps?: number;
  readonly guidance?: number;
  readonly guidanceRescale?: number;
  readonly scheduler?: string;
  readonly sampler?: string;
  readonly schedule?: string;
  readonly eta?: number;
  readonly seed?: bigint;
  readonly count?: number;
  readonly noise?: RandomKind;
  readonly image?: string;
  readonly strength?: number;
  readonly mask?: string;
  readonly control?: readonly ControlArgument[];
  readonly lora?: readonly LoraArgument[];
  readonly refiner?: string;
  readonly refinerMode?: "ensemble" | "pass";
  readonly refinerStrength?: number;
  readonly switchAt?: number;
  readonly hires?: number;
  readonly hiresUpscaler?: "lanczos" | "latent";
  readonly hiresStrength?: number;
  readonly threads?: number;
  readonly device?: Device;
  readonly precision?: Precision;
  readonly out?: string;
  readonly format?: Format;
  readonly metadata: boolean;
  readonly preview?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/**
 * The library's request. What is left out stays out: the checkpoint decides.
 * @throws KilnError invalid_request for options that contradict each other
 */
export function requestOf(prompt: string, options: GenerateOptions): GenerateRequest {
  checkTogether(options);
  const { size, negative, syntax, guidance, control, lora, embedding } = options;
  const { prompt2, clipSkip, steps, guidanceRescale, eta, seed, count, noise, image, strength, mask } = options;
  return {
    prompt,
    prompt2,
    negativePrompt: negative,
    // Who names a sampler of A1111 means its prompts too.
    promptSyntax: syntax ?? (options.sampler === undefined ? undefined : "a1111"),
    clipSkip,
    embeddings: embedding,
    width: options.width ?? size?.width,
    height: options.height ?? size?.height,
    steps,
    guidanceScale: guidance,
    guidanceRescale,
    scheduler: schedulerOf(options),
    eta,
    seed,
    count,
    noise: noise ?? (options.sampler === undefined ? undefined : "philox"),
    image,
    strength,
    mask,
    controls: control,
    loras: lora,
    refiner:
      options.refiner === undefined
        ? undefined
        : {
            model: options.refiner,
            mode: options.refinerMode,
            switchAt: options.switchAt,
            strength: options.refinerStrength,
          },
    hires:
      options.hires === undefined
        ? undefined
        : { scale: options.hires, upscaler: options.hiresUpscaler, strength: options.hiresStrength },
  };
}

function schedulerOf({ scheduler, sampler, schedule }: GenerateOptions): SchedulerRequest | undefined {
  if (sampler === undefined) return scheduler;
  return { a1111: schedule === undefined ? { sampler } : { sampler, schedule } };
}

/** The request's fields that options call by other names. */
const OPTION_OF: Readonly<Record<string, string>> = {
  guidanceScale: "--guidance",
  guidanceRescale: "--guidance-rescale",
  clipSkip: "--clip-skip",
  "hires.strength": "--hires-strength",
  "controls.scale": "the scale of --control",
  "controls.start": "the start of --control",
  "controls.end": "the end of --control",
  "loras.weight": "the weight of --lora",
  "loras.textEncoderWeight": "the second weight of --lora",
};

/** The same failure in the words of the command line. */
export function inOptions(error: unknown): unknown {
  if (!(error instanceof KilnError) || error.subject === undefined) return error;
  const option = OPTION_OF[error.subject];
  if (option === undefined) return error;
  const message = error.message.replaceAll(error.subject, option);
  return new KilnError(error.code, message, { subject: error.subject, cause: error });
}

/** Option by option, the one that it needs. */
const NEEDS: readonly (readonly [keyof GenerateOptions, string, keyof GenerateOptions, string])[] = [
  ["schedule", "--schedule", "sampler", "--sampler"],
  ["mask", "--mask", "image", "--image"],
  ["refinerMode", "--refiner-mode", "refiner", "--refiner"],
  ["refinerStrength", "--refiner-strength", "refiner", "--refiner"],
  ["switchAt", "--switch-at", "refiner", "--refiner"],
  ["hiresUpscaler", "--hires-upscaler", "hires", "--hires"],
  ["hiresStrength", "--hires-strength", "hires", "--hires"],
];

function checkTogether(options: GenerateOptions): void {
  for (const [option, name, needed, neededName] of NEEDS) {
    if (options[option] !== undefined && options[needed] === undefined) throw invalid(name, `${name} needs ${neededName} too.`);
  }
  if (options.scheduler !== undefined && options.sampler !== undefined)
    throw invalid("--sampler", "--scheduler and --sampler both say how to step: leave one of them out.");
  if (options.size !== undefined && (options.width !== undefined || options.height !== undefined))
    throw invalid("--size", "--size says both sides: leave out --width and --height.");
  if (options.strength !== undefined && options.image === undefined) {
    const hires = options.hires === undefined ? "" : " For the enlarged picture there is --hires-strength.";
    throw invalid("--strength", `--strength needs --image: it says how much of that picture is drawn anew.${hires}`);
  }
}
