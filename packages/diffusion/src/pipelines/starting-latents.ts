import type { Inpainting } from "../denoise/slot.ts";
import type { Autoencoder } from "../networks/autoencoder.ts";
import type { Scheduler } from "../schedulers/scheduler.ts";
import type { CompleteRequest } from "./complete-request.ts";
import type { DiffusionModel } from "./diffusion-model.ts";
import type { RunPlan } from "./run-plan.ts";

/** What a pass starts from, beside noise: all sizes in latents, pixels as tensors in -1..1. */
export interface Given {
  /** [3, 8 height, 8 width], or latents as the UNet sees them. */
  readonly image: { readonly pixels: Float32Array } | { readonly latents: Float32Array } | undefined;
  readonly mask: GivenMask | undefined;
}

export interface GivenMask {
  /** [1, 8 height, 8 width] of 0 and 1. */
  readonly pixels: Float32Array;
  /** [1, height, width] of 0 and 1. */
  readonly latents: Float32Array;
}

export interface Start {
  readonly latents: Float32Array;
  readonly inpainting: Inpainting | undefined;
  /** In place of the plan's, where it has the picture to keep in it. */
  readonly scheduler?: Scheduler;
}

/** What a pass begins with depends on this part of it. */
export interface Starting {
  readonly model: DiffusionModel;
  readonly autoencoder: Autoencoder;
  readonly request: CompleteRequest;
  readonly plan: RunPlan;
}

/** Tensors of the latents' size from the picture's own stream. */
export interface Draws {
  /** The noise that the picture grows from: the next draw, with the request's variation in it. */
  readonly noise: () => Float32Array;
  /** The next draw as it is. */
  readonly next: () => Float32Array;
}

/** Text to image: nothing but noise. */
export function startFromNoise({ scheduler, a1111 }: RunPlan, draws: Draws): Start {
  if (a1111) return { latents: a1111.start(inOrder(draws)).sample, inpainting: undefined };
  return { latents: draws.noise().map((value) => value * scheduler.initNoiseSigma), inpainting: undefined };
}

/**
 * Image to image (Meng et al., arXiv 2108.01073): the picture's latents with as much noise as the first step expects. The order of
 * the draws is diffusers': the autoencoder's sample first, then the noise.
 */
export async function startFromPicture(pass: Starting, image: NonNullable<Given["image"]>, draws: Draws): Promise<Start> {
  const { request } = pass;
  const { scheduler, begin, a1111 } = pass.plan;
  if (a1111) {
    const clean = await meanLatents(pass, image);
    return { latents: a1111.start(inOrder(draws), clean).sample, inpainting: undefined };
  }
  const clean = await latentsOf(pass, image, draws);
  if (request.denoisingStart !== undefined) return { latents: clean, inpainting: undefined };
  return { latents: scheduler.addNoise(clean, draws.noise(), begin), inpainting: undefined };
}

/**
 * Inpainting, with networks of 4 channels (the rest of the picture is put back at every step) or of 9 (the network sees mask and
 * masked picture). The draws are diffusers', in its order, also the one whose result a 4-channel network does not look at.
 */
export async function startInpainting(
  pass: Starting,
  { image, mask }: { image: NonNullable<Given["image"]>; mask: GivenMask },
  draws: Draws,
): Promise<Start> {
  if (pass.plan.a1111) return startA1111Inpainting(pass, { image, mask }, draws, pass.plan.a1111);
  const { model, autoencoder, request, plan } = pass;
  const { scheduler, begin } = plan;
  const nineChannels = model.checkpoint.inpainting;
  const whole = request.strength === 1 && request.denoisingStart === undefined;
  const given = nineChannels && whole ? undefined : await latentsOf(pass, image, draws);
  const noise = draws.noise();
  const clean = given && filled(given, noise, mask, request);
  const latents =
    clean && !whole ? scheduler.addNoise(clean, noise, begin) : noise.map((value) => value * scheduler.initNoiseSigma);
  if (nineChannels) {
    const maskedLatents =
      "pixels" in image
        ? autoencoder.sample(await encode(pass, visible(image.pixels, mask)), draws.next())
        : blank(image.latents, mask);
    return { latents, inpainting: { mask: mask.latents, keep: undefined, maskedLatents } };
  }
  if ("pixels" in image) draws.next();
  return { latents, inpainting: { mask: mask.latents, keep: { latents: clean ?? latents, noise }, maskedLatents: undefined } };
}

/**
 * Inpainting as AUTOMATIC1111 does it: the picture's latents with the run's noise at every strength, and the rest of the picture kept by the
 * run. Networks of 9 channels see mask and masked picture; the rest is kept with them too, as there.
 */
async function startA1111Inpainting(
  pass: Starting,
  { image, mask }: { image: NonNullable<Given["image"]>; mask: GivenMask },
  draws: Draws,
  a1111: NonNullable<RunPlan["a1111"]>,
): Promise<Start> {
  const noise = draws.noise();
  const clean = filled(await meanLatents(pass, image), noise, mask, pass.request);
  const { sample } = a1111.start(inOrder({ noise: () => noise, next: draws.next }), clean);
  const keep = { latents: clean, noise: undefined };
  const masked = "pixels" in image ? { pixels: visible(image.pixels, mask) } : { latents: blank(image.latents, mask) };
  const maskedLatents = pass.model.checkpoint.inpainting ? await meanLatents(pass, masked) : undefined;
  const scheduler = a1111.keeping(clean, mask.latents);
  return { latents: sample, inpainting: { mask: mask.latents, keep, maskedLatents }, scheduler };
}

/**
 * What an inpainting network of 9 channels sees where nothing is masked: all of a grey picture is, as in AUTOMATIC1111. Other
 * networks see nothing.
 */
export async function withoutMask(pass: Starting): Promise<Inpainting | undefined> {
  const { model, request } = pass;
  if (!model.checkpoint.inpainting) return undefined;
  const grey = { pixels: new Float32Array(3 * request.height * request.width) };
  const maskedLatents = await meanLatents(pass, grey);
  const mask = new Float32Array(maskedLatents.length / pass.autoencoder.config.latentChannels).fill(1);
  return { mask, keep: undefined, maskedLatents };
}

/** What is under the mask before it is drawn, where that is made of latents: noise of the seed, or zeros. */
function filled(clean: Float32Array, noise: Float32Array, mask: GivenMask, { inpaint }: CompleteRequest): Float32Array {
  if (inpaint?.fill === "latent_nothing") return blank(clean, mask);
  if (inpaint?.fill !== "latent_noise") return clean;
  return clean.map((value, i) => (mask.latents[i % mask.latents.length] === 1 ? (noise[i] ?? 0) : value));
}

/** The picture without what the mask covers: grey, which is 0. */
function visible(pixels: Float32Array, mask: GivenMask): Float32Array {
  return pixels.map((value, i) => ((mask.pixels[i % mask.pixels.length] ?? 0) < 0.5 ? value : 0));
}

async function latentsOf(pass: Starting, image: NonNullable<Given["image"]>, draws: Draws): Promise<Float32Array> {
  if ("latents" in image) return image.latents;
  return pass.autoencoder.sample(await encode(pass, image.pixels), draws.next());
}

/** AUTOMATIC1111 samples the autoencoder from a stream that no seed determines; the mean is what it does on average. */
async function meanLatents(pass: Starting, image: NonNullable<Given["image"]>): Promise<Float32Array> {
  if ("latents" in image) return image.latents;
  return pass.autoencoder.scale((await encode(pass, image.pixels)).mean);
}

/** AUTOMATIC1111's samplers draw the noise first, and then as they need. */
function inOrder({ noise, next }: Draws): () => Float32Array {
  let begun = false;
  return () => {
    if (begun) return next();
    begun = true;
    return noise();
  };
}

function encode(
  { autoencoder, request: { height, width } }: Starting,
  pixels: Float32Array,
): ReturnType<typeof autoencoder.encode> {
  return autoencoder.encode(pixels, height, width);
}

function blank(latents: Float32Array, { latents: mask }: GivenMask): Float32Array {
  return latents.map((value, i) => (mask[i % mask.length] === 1 ? 0 : value));
}
