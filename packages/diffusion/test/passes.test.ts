import { cp, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRandom, type GenerateProgress, type LatentSource, type Picture, Pipeline, resizePicture } from "../src/index.ts";
import { difference, drawLatents, drawOne, KOHYA, loadTinyXl, REFINER, SMALL, TAESD, TINY_XL, there } from "./tiny-xl.ts";

describe.skipIf(!TINY_XL)("pictures in several passes", () => {
  let pipeline: Pipeline;
  beforeAll(async () => {
    pipeline = await loadTinyXl();
  });
  afterAll(() => pipeline.dispose());

  it("hires fix enlarges the pixels by Lanczos and draws over them", async () => {
    const hires = { scale: 1.5, steps: 6, strength: 0.5 };
    const seen: GenerateProgress[] = [];
    const [picture] = await pipeline.generate({ ...SMALL, hires }, { onProgress: (progress) => seen.push(progress) });
    expect(picture).toMatchObject({ width: 96, height: 96 });
    expect(seen.at(-1)).toMatchObject({ phase: "decoding", step: 7, totalSteps: 7 });

    const base = await drawOne(pipeline, SMALL);
    const image = resizePicture(base.picture, 96, 96);
    const byHand = await drawLatents(pipeline, { ...SMALL, image, width: 96, height: 96, steps: 6, strength: 0.5 });
    expect(difference(picture?.latents.latents ?? [], byHand)).toBe(0);
  });

  it("hires fix enlarges the latents where it is asked to", async () => {
    const hires = { scale: 1.25, upscaler: "latent", strength: 0.75 } as const;
    const picture = await drawOne(pipeline, { ...SMALL, hires });
    expect(picture).toMatchObject({ width: 80, height: 80 });
    const byPixels = await drawLatents(pipeline, { ...SMALL, hires: { ...hires, upscaler: "lanczos" } });
    expect(difference(picture.latents.latents, byPixels)).toBeGreaterThan(0.1);
    expect(difference(picture.latents.latents, await drawLatents(pipeline, { ...SMALL, hires }))).toBe(0);
  });

  it("hires fix to another shape fills it and cuts what hangs over, and tells the network the size before the cut", async () => {
    const hires = { size: { width: 96, height: 128 }, steps: 6, strength: 0.5 };
    const base = await drawOne(pipeline, SMALL);
    // 64x64 is enlarged to 128x128, of which the 96 columns in the middle are drawn.
    const told = { originalSize: [128, 128], targetSize: [128, 128], width: 96, height: 128, steps: 6, strength: 0.5 } as const;
    const cut = middleColumns(resizePicture(base.picture, 128, 128), 96);
    const byPixels = await drawOne(pipeline, { ...SMALL, hires });
    expect(byPixels).toMatchObject({ width: 96, height: 128 });
    const { latents } = byPixels.latents;
    expect(difference(latents, await drawLatents(pipeline, { ...SMALL, ...told, image: cut }))).toBe(0);
    const untold = { ...told, originalSize: [128, 96], targetSize: [128, 96] } as const;
    expect(difference(latents, await drawLatents(pipeline, { ...SMALL, ...untold, image: cut }))).toBeGreaterThan(1e-3);

    const image = middleOfDoubled(base.latents, 12);
    const byLatents = await drawLatents(pipeline, { ...SMALL, hires: { ...hires, upscaler: "latent" } });
    expect(difference(byLatents, await drawLatents(pipeline, { ...SMALL, ...told, image }))).toBeLessThan(1e-4);
    const long = pipeline.generate({ ...SMALL, height: 128, hires: { size: { width: 4096, height: 64 } } });
    await expect(long).rejects.toMatchObject({ code: "invalid_request", subject: "hires.size" });
  });

  it("hires fix has prompts, guidance, scheduler, LoRAs and a checkpoint of its own", async () => {
    const hires = { scale: 1.5, steps: 4, strength: 0.5 };
    const loras = [{ file: there(KOHYA), weight: 2 }];
    const own = { prompt: "a dog", negativePrompt: "grey", guidanceScale: 3, scheduler: "DDIM", loras, model: there(TINY_XL) };
    const found = await drawLatents(pipeline, { ...SMALL, hires: { ...hires, ...own } });

    const base = await drawOne(pipeline, SMALL);
    const byHand = await drawLatents(pipeline, {
      ...SMALL,
      prompt: "a dog",
      negativePrompt: "grey",
      guidanceScale: 3,
      scheduler: "DDIM",
      loras,
      image: resizePicture(base.picture, 96, 96),
      width: 96,
      height: 96,
      strength: 0.5,
    });
    expect(difference(found, byHand)).toBe(0);
    const other = pipeline.generate({ ...SMALL, hires: { ...hires, model: there(REFINER) } });
    await expect(other).rejects.toMatchObject({ code: "invalid_request", subject: "hires.model" });
  });

  it("an ensemble of a model with itself is the run of one model", async () => {
    const request = { ...SMALL, steps: 10 };
    const refiner = { model: there(TINY_XL), mode: "ensemble", switchAt: 0.7 } as const;
    const whole = await drawLatents(pipeline, request);
    expect(difference(await drawLatents(pipeline, { ...request, refiner }), whole)).toBe(0);
  });

  it.each(["DPM++ 2M", "Euler a", "DPM2", "DDIM"])(
    "A1111's %s goes on with its run where the refiner takes over",
    async (sampler) => {
      const request = { ...SMALL, steps: 6, scheduler: { a1111: { sampler, schedule: "Automatic" } }, noise: "philox" } as const;
      const whole = await drawLatents(pipeline, request);
      const refiner = { model: there(TINY_XL), mode: "ensemble", switchAt: 0.5 } as const;
      expect(difference(await drawLatents(pipeline, { ...request, refiner }), whole)).toBe(0);
      // The refiner has no LoRAs, so that a LoRA shows whether it has a part, and how large.
      const loras = [{ file: there(KOHYA), weight: 4 }];
      const withLora = await drawLatents(pipeline, { ...request, loras });
      const half = await drawLatents(pipeline, { ...request, loras, refiner });
      expect(difference(half, withLora)).toBeGreaterThan(0.01);
      expect(difference(half, whole)).toBeGreaterThan(0.01);
      const never = await drawLatents(pipeline, { ...request, loras, refiner: { ...refiner, switchAt: 0.9995 } });
      expect(difference(never, withLora)).toBe(0);
    },
  );

  it("a refiner's pass draws over the picture's latents with its strength", async () => {
    const refiner = { model: there(TINY_XL), mode: "pass", strength: 0.5, steps: 6 } as const;
    const refined = await drawLatents(pipeline, { ...SMALL, refiner });
    const base = await drawOne(pipeline, SMALL);
    const byHand = await drawLatents(pipeline, { ...SMALL, image: base.latents, width: 64, height: 64, strength: 0.5, steps: 6 });
    expect(difference(refined, byHand)).toBe(0);
    expect(difference(refined, base.latents.latents)).toBeGreaterThan(0.1);
  });

  it("hires fix draws the second time with the refiner alone where it is asked to", async () => {
    const model = there(TINY_XL);
    const loras = [{ file: there(KOHYA), weight: 4 }];
    const hires = { scale: 1.5, steps: 6, strength: 0.5, by: "refiner" } as const;
    const picture = await drawOne(pipeline, { ...SMALL, loras, hires, refiner: { model } });
    expect(picture).toMatchObject({ width: 96, height: 96 });
    // The base has the LoRA, the refiner has not.
    const base = await drawOne(pipeline, { ...SMALL, loras });
    const image = resizePicture(base.picture, 96, 96);
    const byHand = await drawLatents(pipeline, { ...SMALL, image, width: 96, height: 96, steps: 6, strength: 0.5 });
    expect(difference(picture.latents.latents, byHand)).toBe(0);
    await expect(drawOne(pipeline, { ...SMALL, hires })).rejects.toMatchObject({ code: "invalid_request", subject: "hires.by" });
  });

  it("AUTOMATIC1111's grammar weighs words, and the plain one takes brackets for text", async () => {
    const draw = (prompt: string, promptSyntax: "plain" | "a1111") => drawLatents(pipeline, { ...SMALL, prompt, promptSyntax });
    const bare = await draw("a red cat", "plain");
    expect(difference(await draw("a red cat", "a1111"), bare)).toBeLessThan(1e-3);
    expect(difference(await draw("a (red:1.0) cat", "a1111"), bare)).toBeLessThan(1e-3);
    expect(difference(await draw("a (red:1.5) cat", "a1111"), bare)).toBeGreaterThan(0.01);
    expect(difference(await draw("a (red:1.0) cat", "plain"), bare)).toBeGreaterThan(0.01);
  });

  it("previews show what has formed, from the first step on", async () => {
    const sizes: (string | undefined)[] = [];
    const pending: Promise<unknown>[] = [];
    const onProgress = ({ phase, preview }: GenerateProgress): void => {
      pending.push(preview().then((made) => sizes.push(`${phase} ${made?.width}x${made?.height} ${made?.data.length}`)));
    };
    await pipeline.generate({ ...SMALL, steps: 2, width: 72 }, { onProgress });
    await Promise.all(pending);
    expect(sizes).toEqual([
      "encoding undefinedxundefined undefined",
      "denoising 9x8 216",
      "denoising 9x8 216",
      "decoding undefinedxundefined undefined",
    ]);
  });

  it.skipIf(!TAESD)("previews are of full size where a tiny VAE is loaded, and change no picture", async () => {
    const tiny = await loadTinyXl({ tinyVae: there(TAESD) });
    const previews: Promise<unknown>[] = [];
    const [picture] = await tiny.generate(SMALL, {
      onProgress: ({ phase, preview }) => phase === "denoising" && previews.push(preview()),
    });
    for (const preview of await Promise.all(previews)) expect(preview).toMatchObject({ width: 64, height: 64 });
    expect(previews.length).toBe(4);
    expect(difference(picture?.latents.latents ?? [], await drawLatents(pipeline, SMALL))).toBe(0);
    await tiny.dispose();
  });

  it("an autoencoder in tiles shows no seam", async () => {
    const [height, width] = [40, 56];
    const latents = Float32Array.from(createRandom("torch-cpu", 3).normal(4 * height * width));
    const whole = await pipeline.model.autoencoder.decode(latents, height, width);
    const tiled = await pipeline.model.autoencoder.decode(latents, height, width, { tile: 24, overlap: 12 });
    const [rough, reference] = [steepest(tiled, width * 8), steepest(whole, width * 8)];
    // Untrained weights attend across the whole picture, so that tiles differ more here than those of a trained VAE.
    expect(rms(tiled, whole)).toBeLessThan(0.08 * rms(whole, new Float32Array(whole.length)));
    expect(rough).toBeLessThan(reference * 1.1);
  });
});

describe.skipIf(!(TINY_XL && KOHYA))("few-step recipes", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "kiln-recipes-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const silent = { prompt: "a cat", width: 64, height: 64, seed: 1 };
  const lightning = {
    steps: 4,
    guidanceScale: 1,
    scheduler: { name: "EulerDiscreteScheduler", config: { timestep_spacing: "trailing" } },
  };

  it("come with a checkpoint that names its training", async () => {
    const path = join(folder, "somethingXL_lightning_4step");
    await symlink(there(TINY_XL), path);
    const pipeline = await Pipeline.load(path);
    expect(difference(await drawLatents(pipeline, silent), await drawLatents(pipeline, { ...silent, ...lightning }))).toBe(0);
    const asked = await drawLatents(pipeline, { ...silent, steps: 2 });
    expect(difference(asked, await drawLatents(pipeline, { ...silent, ...lightning, steps: 2 }))).toBe(0);
    await pipeline.dispose();
  });

  it("come with a LoRA that does", async () => {
    const file = join(folder, "sdxl_lightning_4step_lora.safetensors");
    await cp(there(KOHYA), file);
    const pipeline = await loadTinyXl();
    const loras = [{ file, weight: 0.5 }];
    const calls: number[] = [];
    const [picture] = await pipeline.generate({ ...silent, loras }, { onProgress: ({ totalSteps }) => calls.push(totalSteps) });
    expect(calls.at(-1)).toBe(4);
    const told = await drawLatents(pipeline, { ...silent, ...lightning, loras });
    expect(difference(picture?.latents.latents ?? [], told)).toBe(0);
    await pipeline.dispose();
  });
});

/** A picture without as many columns on its left as on its right. */
function middleColumns({ data, width, height }: Picture, columns: number): Picture {
  const left = (width - columns) / 2;
  const rows = Array.from({ length: height }, (_, y) => [
    ...data.subarray((y * width + left) * 3, (y * width + left + columns) * 3),
  ]);
  return { width: columns, height, data: Uint8Array.from(rows.flat()) };
}

/** The columns in the middle of latents of twice the size; between two of them lies a quarter of the farther one. */
function middleOfDoubled({ latents, width, height }: LatentSource, columns: number): LatentSource {
  const left = (2 * width - columns) / 2;
  const at = (plane: number, y: number, x: number): number => {
    const [row, column] = [Math.min(Math.max(y, 0), height - 1), Math.min(Math.max(x, 0), width - 1)];
    return latents[(plane * height + row) * width + column] ?? Number.NaN;
  };
  const beside = (i: number): [number, number] => [Math.floor(i / 2), Math.floor(i / 2) + (i % 2 === 0 ? -1 : 1)];
  const doubled: number[] = [];
  for (let plane = 0; plane < latents.length / (width * height); plane++) {
    for (let i = 0; i < 2 * height; i++) {
      for (let j = left; j < left + columns; j++) {
        const [y, farY] = beside(i);
        const [x, farX] = beside(j);
        const near = 0.75 * at(plane, y, x) + 0.25 * at(plane, y, farX);
        doubled.push(0.75 * near + 0.25 * (0.75 * at(plane, farY, x) + 0.25 * at(plane, farY, farX)));
      }
    }
  }
  return { latents: Float32Array.from(doubled), width: columns, height: 2 * height };
}

function rms(a: Float32Array, b: Float32Array): number {
  return Math.sqrt(a.reduce((sum, value, i) => sum + (value - (b[i] ?? 0)) ** 2, 0) / a.length);
}

/** The largest mean step from one column of the picture to the next: a seam would stand out. */
function steepest(pixels: Float32Array, width: number): number {
  const sums = new Float64Array(width - 1);
  for (let i = 0; i < pixels.length; i++) {
    const column = i % width;
    if (column + 1 < width) sums[column] = (sums[column] ?? 0) + Math.abs((pixels[i + 1] ?? 0) - (pixels[i] ?? 0));
  }
  return Math.max(...sums) / (pixels.length / width);
}
