import type { StepProgress } from "../denoise/denoiser.ts";
import { type NoiseStream, sequentialNoise } from "../denoise/noise-stream.ts";
import { Slot, type SlotControl } from "../denoise/slot.ts";
import { PIXELS_PER_LATENT } from "../latent-size.ts";
import type { WeightedAdapter } from "../networks/adapter-stack.ts";
import type { Autoencoder } from "../networks/autoencoder.ts";
import type { RowConditioning } from "../networks/row.ts";
import { brownianNoise } from "../random/brownian-tree.ts";
import { createRandom } from "../random/create-random.ts";
import type { RandomSource } from "../random/random.ts";
import type { TextualInversion } from "../text/textual-inversion.ts";
import { a1111Choice } from "./a1111-choice.ts";
import type { CompleteRequest } from "./complete-request.ts";
import type { DiffusionModel } from "./diffusion-model.ts";
import { firstNoise } from "./first-noise.ts";
import { type LoadedPictures, toGiven, toPixels } from "./given-pictures.ts";
import { guidanceEmbedding, rowConditioning, timeIds } from "./micro-conditioning.ts";
import { laterSeed, type PictureSeed } from "./picture-seeds.ts";
import type { RunPlan } from "./run-plan.ts";
import { type Draws, type Given, startFromNoise, startFromPicture, startInpainting, withoutMask } from "./starting-latents.ts";

/** One go of one model over the pictures of a request. */
export interface Pass {
  readonly model: DiffusionModel;
  /** The model's own, or the one that the request names. */
  readonly autoencoder: Autoencoder;
  readonly request: CompleteRequest;
  readonly plan: RunPlan;
  readonly pictures: LoadedPictures;
  readonly extras: Extras;
}

/** Files that a request names, opened. */
export interface Extras {
  readonly unetAdapters: readonly WeightedAdapter[];
  readonly textAdapters: readonly WeightedAdapter[];
  readonly inversions: readonly TextualInversion[];
}

export interface DrawOptions {
  readonly priority: number;
  readonly signal: AbortSignal | undefined;
  readonly onStep: (progress: StepProgress) => void;
  /** Hears that the picture is ready for its first step. */
  readonly onReady: () => void;
}

/**
 * Draws one picture of a pass from its seed.
 * @param before the run that the pass goes on with, where it begins none of its own
 * @returns the finished slot: its latents [4, height, width] are as the UNet sees them.
 */
export async function drawPass(pass: Pass, seed: PictureSeed, options: DrawOptions, before?: Slot): Promise<Slot> {
  const slot = before ? await takeOver(pass, before) : await prepareSlot(pass, seed);
  // A base has nothing to do where its refiner begins with the first evaluation.
  const drawn = slot.done ? undefined : pass.model.denoiser.submit(slot, options);
  options.onReady();
  await drawn;
  return slot;
}

/** A run that another network goes on with: latents, the scheduler's memory and the noise to come are what they were. */
async function takeOver(pass: Pass, { definition, latents, scheduler }: Slot): Promise<Slot> {
  const { begin, end } = pass.plan;
  const { positive, negative } = await conditioning(pass);
  const own = { begin, end, positive, negative, adapters: pass.extras.unetAdapters, controls: await controlsOf(pass) };
  const { inpainting: before } = definition;
  // Only a network that was trained to inpaint sees the masked picture.
  const inpainting = before && !pass.model.checkpoint.inpainting ? { ...before, maskedLatents: undefined } : before;
  return new Slot({ ...definition, ...own, inpainting }, { latents, scheduler });
}

/** One picture of a pass before its first step: conditioning, starting latents, a stream of noise. */
export async function prepareSlot(pass: Pass, seed: PictureSeed): Promise<Slot> {
  const { autoencoder, request, plan, extras } = pass;
  const size = { height: request.height / PIXELS_PER_LATENT, width: request.width / PIXELS_PER_LATENT };
  const count = autoencoder.config.latentChannels * size.height * size.width;
  const first = createRandom(request.noise ?? "torch-cpu", seed.seed);
  const later = request.noiseSeedDelta ? createRandom(request.noise ?? "torch-cpu", laterSeed(seed, request)) : first;

  pass.model.predictor.prepare(extras.unetAdapters);
  const { positive, negative } = await conditioning(pass);
  const given = toGiven(pass.pictures, request.width, request.height, request.inpaint !== undefined);
  const start = await startingLatents(pass, given, drawsOf(pass, { first, later }, seed));
  return new Slot(
    {
      ...size,
      scheduler: start.scheduler ?? plan.scheduler,
      begin: plan.begin,
      end: plan.end,
      guidance: { scale: request.guidanceScale, rescale: request.guidanceRescale },
      positive,
      negative,
      adapters: extras.unetAdapters,
      controls: await controlsOf(pass),
      inpainting: start.inpainting ?? (await withoutMask(pass)),
      noise: noiseStream(plan, later, seed.seed, count),
    },
    { latents: start.latents, scheduler: plan.scheduler.begin(plan.begin) },
  );
}

/** Both halves of guidance; no negative half where there is no guidance, or where the network takes its scale as an embedding. */
async function conditioning({
  model,
  request,
  extras,
}: Pass): Promise<{ positive: RowConditioning; negative: RowConditioning | undefined }> {
  const { checkpoint, prompts } = model;
  const { prompt, clipSkip = 0, promptSyntax = "plain", guidanceScale } = request;
  const embedded = checkpoint.configs.unet.timeCondProjDim;
  const guided = guidanceScale > 1 && embedded === null;
  const negativePrompt = negativePromptOf(request);
  const zeroed = negativePrompt === undefined && checkpoint.configs.forceZerosForEmptyPrompt;
  // An empty second prompt is none, as in diffusers.
  const prompt2 = request.prompt2 || prompt;
  const negativePrompt2 = request.negativePrompt2 || (negativePrompt ?? "");
  // diffusers skips blocks for the positive half alone, AUTOMATIC1111 for both.
  const negativePair = {
    prompt: negativePrompt ?? "",
    prompt2: negativePrompt2,
    clipSkip: promptSyntax === "a1111" ? clipSkip : 0,
  };
  const pairs = [{ prompt, prompt2, clipSkip }, ...(guided && !zeroed ? [negativePair] : [])];
  const options = { syntax: promptSyntax, inversions: extras.inversions, adapters: extras.textAdapters };
  const [encoded, encodedNegative] = await prompts.encode(pairs, options);
  if (!encoded) throw new Error("the prompt was not encoded");

  const ids = timeIds(request, [request.height, request.width], checkpoint);
  const positive = rowConditioning(encoded, ids.positive, checkpoint);
  if (embedded !== null)
    return { positive: { ...positive, guidance: guidanceEmbedding(guidanceScale, embedded) }, negative: undefined };
  if (!guided) return { positive, negative: undefined };
  return { positive, negative: rowConditioning(encodedNegative ?? prompts.zeros(encoded.windows), ids.negative, checkpoint) };
}

/** AUTOMATIC1111 makes no difference between a negative prompt that is empty and one that is not given. */
function negativePromptOf(request: CompleteRequest): string | undefined {
  const { negativePrompt } = request;
  return negativePrompt === "" && a1111Choice(request) ? undefined : negativePrompt;
}

async function startingLatents(pass: Pass, { image, mask }: Given, draws: Draws): ReturnType<typeof startFromPicture> {
  if (!image) return startFromNoise(pass.plan, draws);
  return mask ? startInpainting(pass, { image, mask }, draws) : startFromPicture(pass, image, draws);
}

/**
 * The picture's stream; the noise that it grows from is no more than its first draw where the request asks for nothing else. What follows
 * that noise comes from `later`.
 */
function drawsOf(
  { autoencoder, request }: Pass,
  { first, later }: { first: RandomSource; later: RandomSource },
  seed: PictureSeed,
): Draws {
  const { noise: kind = "torch-cpu", seedResizeFrom: from } = request;
  const inLatents = ({ height, width }: { height: number; width: number }) => ({
    height: height / PIXELS_PER_LATENT,
    width: width / PIXELS_PER_LATENT,
  });
  const shape = { channels: autoencoder.config.latentChannels, ...inLatents(request) };
  let random = first;
  const next = () => Float32Array.from(random.normal(shape.channels * shape.height * shape.width));
  const noise = () => {
    const drawn = next();
    random = later;
    return firstNoise(drawn, seed, { kind, shape, resizeFrom: from && inLatents(from) });
  };
  return { next, noise };
}

async function controlsOf({ model, request, pictures }: Pass): Promise<SlotControl[]> {
  const { controls = [], width, height } = request;
  return Promise.all(
    controls.map(async ({ model: path, scale = 1, guess = false, mode = "balanced", start = 0, end = 1 }, i) => {
      const network = await model.controlNetwork(path);
      const picture = pictures.controls[i];
      if (!picture) throw new Error(`control ${i} has no picture`);
      const falloff = guess ? "guess" : mode === "balanced" ? undefined : "soft";
      const positiveOnly = guess || mode === "control";
      return { network, condition: toPixels(picture, width, height, "zero-to-one"), scale, falloff, positiveOnly, start, end };
    }),
  );
}

/** The stream of a run's later draws: a Brownian path where the scheduler asks for one, else what follows the first draws. */
function noiseStream({ scheduler, a1111 }: RunPlan, random: RandomSource, seed: bigint, count: number): NoiseStream {
  const interval = scheduler.brownian;
  if (!interval) return sequentialNoise(random, count);
  const own = interval.seed === undefined ? seed : BigInt(interval.seed);
  // AUTOMATIC1111 fills the path from the generator of its pictures, diffusers always from torch's.
  const kind = a1111 ? random.state().kind : "torch-cpu";
  return {
    draw: brownianNoise({ sigmaMin: interval.sigmaMin, sigmaMax: interval.sigmaMax, seed: own, count, kind }),
    state: () => undefined,
  };
}
