import { relative } from "node:path";
import { chooseBackend, DEVICES, type GeneratedPicture, KilnError, Pipeline, PRECISIONS } from "@kiln/diffusion";
import { Command, Option } from "commander";
import { control, embedding, lora, number, repeated, seed, size, whole } from "../arguments.ts";
import { demoCheckpoint, wordsUnknownToDemo } from "../demo-checkpoint.ts";
import { type GenerateOptions, inOptions, requestOf } from "../generate-options.ts";
import { FORMATS, type Output, prepareOutput, writePicture } from "../output-files.ts";
import { ProgressView } from "../progress-view.ts";

const EXAMPLES = `
Examples:
  $ kiln generate "a red house on green hills at sunset"
  $ kiln generate "an old sailor, portrait" --model sdxl.safetensors --steps 30 --size 1024x1024
  $ kiln generate "a blue house at night" --image house.png --strength 0.6
  $ kiln generate "a cat" --image room.png --mask sofa.png --model sdxl.safetensors
  $ kiln generate "a dancer" --control controlnet-openpose:pose.png:0.8 --model sdxl.safetensors
  $ kiln generate "a fox" --lora ink.safetensors:0.8 --lora night.safetensors:0.4 --model sdxl.safetensors
  $ kiln generate "(a fox:1.2) in snow" --sampler "DPM++ 2M" --schedule Karras --seed 1 --model sdxl.safetensors
  $ kiln generate "a tent in the desert" --count 4 --out pictures/ --json`;

export function generateCommand(): Command {
  const command = new Command("generate")
    .description("Draw pictures from words. Without --model the demo checkpoint draws: small picture-book scenes.")
    .argument("<prompt...>", "what the picture shows")
    .addHelpText("after", EXAMPLES)
    .action(async (words: readonly string[], options: GenerateOptions) => generate(words.join(" "), options));
  addModelOptions(command);
  addPromptOptions(command);
  addDrawingOptions(command);
  addPictureOptions(command);
  addMachineOptions(command);
  addOutputOptions(command);
  return command;
}

function addModelOptions(command: Command): void {
  command
    .optionsGroup("Model:")
    .option("-m, --model <path>", "a .safetensors file or a diffusers folder; default: the demo")
    .option("--config <folder>", "a diffusers folder whose configs are used, for single files that cannot tell their own")
    .option("--vae <path>", "a VAE in place of the checkpoint's own")
    .option("--lora <file[:weight]>", "a LoRA and how much of it; may be repeated", repeated(lora))
    .option("--embedding <file[:token]>", "a textual inversion that the prompt may name; may be repeated", repeated(embedding))
    .option("--refiner <path>", "a refiner's checkpoint, which goes over the picture")
    .addOption(
      new Option(
        "--refiner-mode <mode>",
        "ensemble: it takes over before the end; pass: it draws over the finished picture",
      ).choices(["ensemble", "pass"]),
    )
    .option("--switch-at <part>", "where the refiner takes over, 0 to 1 (default 0.8)", number("--switch-at"))
    .option("--refiner-strength <part>", "how far a pass draws anew, 0 to 1 (default 0.3)", number("--refiner-strength"));
}

function addPromptOptions(command: Command): void {
  command
    .optionsGroup("Prompt:")
    .option("-n, --negative <text>", "what the picture should not show; left out and empty are not the same")
    .option("--prompt2 <text>", "what SDXL's second text encoder is told; default: the prompt")
    .addOption(
      new Option("--syntax <name>", "a1111: (weights:1.2), BREAK, any length; default plain, a1111 with --sampler").choices([
        "plain",
        "a1111",
      ]),
    )
    .option(
      "--clip-skip <n>",
      'blocks of the text encoders to leave out; 1 is what others call "Clip skip: 2"',
      whole("--clip-skip"),
    );
}

function addDrawingOptions(command: Command): void {
  command
    .optionsGroup("Drawing (what is left out, the checkpoint decides):")
    .option("-s, --steps <n>", "steps", whole("--steps"))
    .option("-g, --guidance <scale>", "classifier-free guidance; 1 is none and twice as fast", number("--guidance"))
    .option("--guidance-rescale <part>", "0 to 1; 0.7 suits checkpoints with zero terminal SNR", number("--guidance-rescale"))
    .option("--seed <n>", "0 to 2^64 - 1; the same seed draws the same picture; default: random", seed)
    .option("-c, --count <n>", "pictures, with seeds that follow each other", whole("--count"))
    .option("--size <WxH>", "in pixels, multiples of 8, such as 1024x768", size)
    .option("--width <pixels>", "the width alone", whole("--width"))
    .option("--height <pixels>", "the height alone", whole("--height"))
    .option("--scheduler <name>", '"Euler", "DPM++ 2M Karras", "UniPCMultistepScheduler"; see kiln schedulers')
    .option("--sampler <name>", "AUTOMATIC1111's sampler, with its noise and its numbers")
    .option("--schedule <name>", "AUTOMATIC1111's schedule type, beside --sampler")
    .option("--eta <part>", "DDIM and TCD: how much of the noise is renewed, 0 to 1", number("--eta"))
    .addOption(
      new Option("--noise <generator>", "torch-cpu as diffusers, philox as AUTOMATIC1111 on a GPU").choices([
        "torch-cpu",
        "philox",
      ]),
    )
    .option("--hires <scale>", "draw at this size, enlarge by the scale, draw the details", number("--hires"))
    .addOption(new Option("--hires-upscaler <name>", "what is enlarged").choices(["lanczos", "latent"]))
    .option("--hires-strength <part>", "how far the enlarged picture is drawn anew, 0 to 1", number("--hires-strength"));
}

function addPictureOptions(command: Command): void {
  command
    .optionsGroup("Pictures to start from:")
    .option("-i, --image <file>", "image to image: the picture to start from")
    .option("--strength <part>", "how far it is drawn anew, 0 to 1 (default 0.75; 1 with --mask)", number("--strength"))
    .option("--mask <file>", "inpainting: white is drawn anew, black stays")
    .option(
      "--control <value>",
      "MODEL:PICTURE[:SCALE[:START-END]], a ControlNet and the picture that it follows; may be repeated",
      repeated(control),
    );
}

function addMachineOptions(command: Command): void {
  command
    .optionsGroup("Machine:")
    .addOption(new Option("--device <name>", "what computes").choices([...DEVICES]))
    .addOption(new Option("--precision <name>", "the numbers that it computes with").choices([...PRECISIONS]))
    .option("--threads <n>", "default: all cores", whole("--threads"));
}

function addOutputOptions(command: Command): void {
  command
    .optionsGroup("Output:")
    .option("-o, --out <path>", "a file, or a folder (made if it ends in /); default: kiln-SEED.png here")
    .addOption(new Option("-f, --format <name>", "default: by the file's name, else png").choices(FORMATS))
    .option("--no-metadata", "leave the parameters out of the file")
    .option("--preview", "show the picture forming, on terminals with 24-bit colour")
    .option("--json", "the result as one JSON object on standard output")
    .option("-q, --quiet", "nothing but the pictures' paths");
}

async function generate(prompt: string, options: GenerateOptions): Promise<void> {
  const request = requestOf(prompt, options);
  const output = await prepareOutput(options.out, options.format);
  const quiet = options.quiet === true || options.json === true;
  const view = new ProgressView({ count: options.count ?? 1, quiet, preview: options.preview === true });
  const model = options.model ?? introduceDemo(prompt, view);
  const { backend } = chooseBackend({
    device: options.device,
    precision: options.precision,
    threads: options.threads,
    onNotice: (sentence) => view.say(sentence),
  });
  const pipeline = await Pipeline.load(model, { backend, config: options.config, vae: options.vae });
  const cancel = cancelOnInterrupt(view);
  try {
    const started = performance.now();
    view.say("Drawing (Ctrl-C stops) ...");
    const pictures = await pipeline.generate(request, { signal: cancel.signal, onProgress: (progress) => view.update(progress) });
    const seconds = (performance.now() - started) / 1000;
    const perStep = view.secondsPerStep;
    view.end();
    const paths = await writeAll(pictures, output, options.metadata);
    if (options.json) printJson({ model, demo: options.model === undefined, seconds, pictures, paths });
    else {
      view.say(
        `${paths.length === 1 ? "A picture" : `${paths.length} pictures`} in ${seconds.toFixed(1)} s${perStep === undefined ? "" : `, ${perStep.toFixed(2)} s a step`}.`,
      );
      for (const path of paths) process.stdout.write(`${shown(path)}\n`);
    }
  } catch (error) {
    throw inOptions(error);
  } finally {
    cancel.release();
    view.end();
    await pipeline.dispose();
  }
}

/** Says that the demo draws, and which words of the prompt it cannot know. */
function introduceDemo(prompt: string, view: ProgressView): string {
  const demo = demoCheckpoint();
  view.say("No --model is named, so the demo checkpoint draws: small picture-book scenes from a few hundred words.");
  const unknown = wordsUnknownToDemo(prompt).map((word) => `"${word}"`);
  if (unknown.length > 0) view.say(`It was never taught ${unknown.join(", ")}; what it knows is in ${shown(demo)}/words.json.`);
  return demo;
}

interface Cancellation {
  readonly signal: AbortSignal;
  release(): void;
}

/** The first Ctrl-C stops before the next step; a second one ends the process where it stands. */
function cancelOnInterrupt(view: ProgressView): Cancellation {
  const controller = new AbortController();
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(130);
    view.say("Stopping after this step ...");
    controller.abort();
  };
  process.on("SIGINT", interrupt);
  return { signal: controller.signal, release: () => process.off("SIGINT", interrupt) };
}

async function writeAll(pictures: readonly GeneratedPicture[], output: Output, metadata: boolean): Promise<string[]> {
  const paths: string[] = [];
  for (const picture of pictures) paths.push(await writePicture(picture, output, { several: pictures.length > 1, metadata }));
  if (paths.length === 0) throw new KilnError("backend_failed", "Nothing was drawn.");
  return paths;
}

interface Result {
  readonly model: string;
  readonly demo: boolean;
  readonly seconds: number;
  readonly pictures: readonly GeneratedPicture[];
  readonly paths: readonly string[];
}

function printJson({ model, demo, seconds, pictures, paths }: Result): void {
  const drawn = pictures.map(({ seed, width, height, metadata }, i) => ({
    path: paths[i],
    seed: seed.toString(), // a JSON number would lose the last digits of large ones
    width,
    height,
    parameters: metadata.parameters,
  }));
  process.stdout.write(`${JSON.stringify({ model, demo, seconds: Number(seconds.toFixed(3)), pictures: drawn })}\n`);
}

/** A path as one would type it. */
function shown(path: string): string {
  const near = relative(process.cwd(), path);
  return near.startsWith("..") ? path : near || ".";
}
