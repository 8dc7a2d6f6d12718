import type { MaskPicture, Picture } from "../pictures/picture.ts";
import type { RandomKind } from "../random/random.ts";
import type { PromptSyntax } from "./prompt-encoder.ts";

/**
 * What to draw. Only the prompt is required: everything that is left out comes from the checkpoint (its size, and the steps,
 * guidance and scheduler that suit it). One request is one picture, or `count` pictures with seeds that follow each other.
 */
export interface GenerateRequest {
  readonly prompt: string;
  /** What the second text encoder is told; left out or empty: the prompt. SDXL only. */
  readonly prompt2?: string;
  /** Left out and empty are not the same for SDXL: left out becomes zeros, empty is encoded. */
  readonly negativePrompt?: string;
  readonly negativePrompt2?: string;
  /** Default `plain`. */
  readonly promptSyntax?: PromptSyntax;
  /** Blocks of the text encoders to leave out at the end, as diffusers counts (A1111's number less one). Default 0. */
  readonly clipSkip?: number;
  /** Textual inversions that the prompts may name. */
  readonly embeddings?: readonly EmbeddingRequest[];
  /** A VAE in place of the checkpoint's own, for these pictures alone: a file or a folder. */
  readonly vae?: string;

  /** In pixels, multiples of 8. Default: the given picture's size, else the checkpoint's own. */
  readonly width?: number;
  readonly height?: number;

  readonly steps?: number;
  /** Classifier-free guidance scale; 1 or less is none, and takes half the time. */
  readonly guidanceScale?: number;
  /** 0 to 1; 0.7 suits checkpoints with zero terminal SNR. */
  readonly guidanceRescale?: number;
  readonly scheduler?: SchedulerRequest;
  /** Given timesteps (such as Align Your Steps) in place of a spacing, falling. */
  readonly timesteps?: readonly number[];
  /** Given sigmas in place of a spacing, falling. */
  readonly sigmas?: readonly number[];
  /** DDIM and TCD: how much of the noise is renewed at each step. */
  readonly eta?: number;

  /** 0 to 2^64 - 1. Default: random. */
  readonly seed?: number | bigint;
  /** Pictures, with the seeds `seed`, `seed + 1`, ... Default 1. */
  readonly count?: number;
  /** Mixes the seed's noise with another seed's, 0 (none) to 1. Pictures then share `seed`, and this seed counts on. Default seed: random. */
  readonly variation?: { readonly seed?: number | bigint; readonly strength: number };
  /** The size in pixels at which the seed was found: its noise lies in the middle of this picture's. */
  readonly seedResizeFrom?: { readonly width: number; readonly height: number };
  /**
   * Added to the seed for all noise after that which the picture grows from: AUTOMATIC1111's "eta noise seed delta". Brownian paths keep the
   * seed, as there. Default 0.
   */
  readonly noiseSeedDelta?: number;
  /** `torch-cpu` (default) draws the noise of diffusers, `philox` that of A1111's "NV". */
  readonly noise?: RandomKind;

  /** Image to image: the picture to start from, or latents. */
  readonly image?: PictureSource | LatentSource;
  /** How far the picture is noised, 0 to 1: the part of the steps that is done. Default 0.75; inpainting 1. */
  readonly strength?: number;
  /** Inpainting: white is painted anew. Needs `image`. */
  readonly mask?: PictureSource | MaskPicture;
  /** How the mask is painted over, as AUTOMATIC1111 does it: the rest of the picture then stays as it is to the pixel. Needs `mask`. */
  readonly inpaint?: InpaintRequest;

  readonly controls?: readonly ControlRequest[];
  readonly loras?: readonly LoraRequest[];

  /** The part of the noise at which to begin or to end, 0 to 1: base and refiner as an ensemble of experts. */
  readonly denoisingStart?: number;
  readonly denoisingEnd?: number;

  /** SDXL's micro-conditioning, [height, width] in pixels; [top, left] for the crops. Default: the picture's size, no crop. */
  readonly originalSize?: Pair;
  readonly cropTopLeft?: Pair;
  readonly targetSize?: Pair;
  readonly negativeOriginalSize?: Pair;
  readonly negativeCropTopLeft?: Pair;
  readonly negativeTargetSize?: Pair;
  /** Refiner: default 6 and 2.5. */
  readonly aestheticScore?: number;
  readonly negativeAestheticScore?: number;

  /** A refiner that goes over the picture. */
  readonly refiner?: RefinerRequest;
  /** Draw small, enlarge, draw again with more detail. `width` and `height` are those of the small picture. */
  readonly hires?: HiresRequest;
}

/** [height, width] or [top, left]. */
export type Pair = readonly [number, number];

/** A picture: a file's path, a file's bytes (PNG, JPEG, WebP), or pixels. */
export type PictureSource = string | Uint8Array | Picture;

/** Latents as the UNet sees them, [4, height, width] with the size in latents. */
export interface LatentSource {
  readonly latents: Float32Array;
  readonly height: number;
  readonly width: number;
}

/** By diffusers' class or a short name, with configuration by diffusers' names; or as AUTOMATIC1111 would. */
export type SchedulerRequest =
  | string
  | { readonly name: string; readonly config?: Readonly<Record<string, unknown>> }
  | {
      readonly a1111: {
        readonly sampler: string;
        readonly schedule?: string;
        readonly options?: Readonly<Record<string, number>>;
        /** Image to image makes exactly `steps` steps, of a schedule that is longer by `1 / strength`; hires fix always does. */
        readonly exactSteps?: boolean;
      };
    };

export interface EmbeddingRequest {
  readonly file: string;
  /** What calls it in a prompt beside the file's name. */
  readonly token?: string;
}

export interface LoraRequest {
  readonly file: string;
  /** Default 1. */
  readonly weight?: number;
  /** Default: the weight. */
  readonly textEncoderWeight?: number;
}

export interface InpaintRequest {
  /** What is drawn: the whole picture (default), or at the drawn size the part around the mask, which goes back into the picture. */
  readonly region?: "whole" | "masked";
  /** `masked`: pixels of the picture around the mask's box. Default 32. */
  readonly padding?: number;
  /** Standard deviation in pixels of the picture by which the mask's edge is softened. Default 4. */
  readonly blur?: number;
  /** Along the columns, where it is another one. */
  readonly blurY?: number;
  /** What is under the mask before it is drawn: the picture itself (default), the colours around it, noise, or latents of zero. */
  readonly fill?: "original" | "fill" | "latent_noise" | "latent_nothing";
}

export interface ControlRequest {
  /** A ControlNet's folder or file. */
  readonly model: string;
  /** The picture that it looks at, ready made (a pose, a depth map, edges). */
  readonly image: PictureSource;
  /** Default 1. */
  readonly scale?: number;
  /** Guess mode: it guides the positive half of guidance alone, and its outer residuals count less; for drawing without a prompt. */
  readonly guess?: boolean;
  /**
   * What counts more where prompt and map disagree, as the ControlNet extension of AUTOMATIC1111 weighs them: "prompt" weakens the outer
   * residuals, "control" guides the positive half of guidance alone beside that. Default `balanced`; guess mode goes before it.
   */
  readonly mode?: "balanced" | "prompt" | "control";
  /** The part of the run in which it acts, 0 to 1. Default: all. */
  readonly start?: number;
  readonly end?: number;
}

export interface RefinerRequest {
  /** The refiner's checkpoint. */
  readonly model: string;
  /** `ensemble`: the base stops at `switchAt` and the refiner goes on from its latents. `pass`: the refiner draws over the finished picture. */
  readonly mode?: "ensemble" | "pass";
  /** Default 0.8. */
  readonly switchAt?: number;
  /** Default 0.3. */
  readonly strength?: number;
  /** Default: the request's. */
  readonly steps?: number;
}

export interface HiresRequest {
  /** Default 1.5; the enlarged size is rounded to multiples of 8. */
  readonly scale?: number;
  /** In place of a scale, in multiples of 8. Where its shape is another one, the first picture is enlarged to cover it and cut at its edges. */
  readonly size?: { readonly width: number; readonly height: number };
  /** What is enlarged: the pixels by Lanczos (default), or the latents. */
  readonly upscaler?: "lanczos" | "latent";
  /** Who draws the second time: the checkpoint (default), or the request's refiner alone, whose own mode then does not count. */
  readonly by?: "base" | "refiner";
  /** A checkpoint of the same family that draws the second time in the first one's place: a file or a folder. */
  readonly model?: string;
  /** What the second pass is told, by both text encoders. Default: the request's. */
  readonly prompt?: string;
  readonly negativePrompt?: string;
  readonly guidanceScale?: number;
  readonly scheduler?: SchedulerRequest;
  readonly loras?: readonly LoraRequest[];
  /** Of the second pass. Default 0.35 for pixels; 0.6 for latents, which need more to become sharp. */
  readonly strength?: number;
  /** Default: the request's. */
  readonly steps?: number;
}

/** What happens while a picture is drawn. */
export interface GenerateOptions {
  /** Higher goes first when pictures compete for the device. Default 0. */
  readonly priority?: number;
  /** Ends the work before its next step; the call rejects with the code `cancelled`. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: GenerateProgress) => void;
}

export interface GenerateProgress {
  readonly phase: "encoding" | "denoising" | "decoding";
  /** Of the pictures of the request, counted from 0. */
  readonly picture: number;
  /** Evaluations of the network done and to do, over all passes of this picture. */
  readonly step: number;
  readonly totalSteps: number;
  /** As they stand; undefined before the first step. */
  readonly latents: LatentSource | undefined;
  /** A small picture of what has formed so far (of full size where a tiny VAE is loaded); undefined before the first step. Made when it is called. */
  readonly preview: () => Promise<Picture | undefined>;
}
