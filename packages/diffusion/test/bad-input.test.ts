import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ErrorCode, encodePng, type GenerateRequest, KilnError, Pipeline } from "../src/index.ts";
import { DEPTH, drawOne, gradient, KOHYA, loadTinyXl, SD15, SMALL, TINY_XL, there } from "./tiny-xl.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kiln-bad-input-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Refused with this code, in a whole sentence that holds `says`. */
async function refused(work: Promise<unknown>, code: ErrorCode, says: string | RegExp = ""): Promise<void> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(KilnError);
  expect(error).toMatchObject({ code, message: expect.stringMatching(says) });
  expect(error).toMatchObject({ message: expect.stringMatching(/^.{15,}\.$/s) });
}

describe("a checkpoint file", () => {
  const tensor = (fields: object): object => ({ dtype: "F32", shape: [2], data_offsets: [0, 8], ...fields });
  const header = (entries: object): Buffer => withLength(Buffer.from(JSON.stringify(entries)));

  it.each<[string, () => Buffer, ErrorCode]>([
    ["that is empty", () => Buffer.alloc(0), "file_corrupt"],
    ["of seven bytes", () => Buffer.alloc(7), "file_corrupt"],
    ["whose header is longer than the file", () => Buffer.concat([lengthOf(1000), Buffer.from("{}")]), "file_corrupt"],
    ["whose header claims 2^63 bytes", () => Buffer.concat([lengthOf(2n ** 63n), Buffer.from("{}")]), "file_corrupt"],
    ["with a header of 100 MB", () => withLength(Buffer.alloc(100_000_000, 0x20)), "file_corrupt"],
    ["whose header is not JSON", () => withLength(Buffer.from("{nonsense")), "file_corrupt"],
    ["whose header is a list", () => withLength(Buffer.from("[1, 2, 3]")), "file_corrupt"],
    ["with offsets beyond its end", () => header({ a: tensor({ data_offsets: [0, 800], shape: [200] }) }), "file_corrupt"],
    ["with negative offsets", () => header({ a: tensor({ data_offsets: [-8, 0] }) }), "file_corrupt"],
    ["with offsets that run backwards", () => header({ a: tensor({ data_offsets: [8, 0] }) }), "file_corrupt"],
    ["with overlapping tensors", () => body(header({ a: tensor({}), b: tensor({ data_offsets: [4, 12] }) }), 12), "file_corrupt"],
    ["with a hole", () => body(header({ a: tensor({}), b: tensor({ data_offsets: [16, 24] }) }), 24), "file_corrupt"],
    ["with a shape that its bytes do not fill", () => body(header({ a: tensor({ shape: [3] }) }), 8), "file_corrupt"],
    ["with a huge shape", () => body(header({ a: tensor({ shape: [2 ** 40, 2 ** 40] }) }), 8), "file_corrupt"],
    ["with a negative size", () => body(header({ a: tensor({ shape: [-2] }) }), 8), "file_corrupt"],
    [
      "with one name twice",
      () => body(withLength(Buffer.from(`{"a":${JSON.stringify(tensor({}))},"a":${JSON.stringify(tensor({}))}}`)), 8),
      "file_corrupt",
    ],
    ["of an unknown number type", () => body(header({ a: tensor({ dtype: "F4" }) }), 8), "file_unsupported"],
    ["that is a pickle", () => Buffer.from([0x50, 0x4b, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0]), "file_unsupported"],
    ["that holds no network", () => body(header({ a: tensor({}) }), 8), "checkpoint_unknown"],
  ])("%s", async (name, make, code) => {
    const path = join(folder, `${name.replaceAll(/\W+/g, "-")}.safetensors`);
    await writeFile(path, make());
    await refused(Pipeline.load(path), code);
    await rm(path);
  });

  it("that is not there", () => refused(Pipeline.load(join(folder, "nowhere.safetensors")), "file_not_found", "nowhere"));
});

describe.skipIf(!SD15)("a checkpoint", () => {
  let whole: Buffer;
  beforeAll(async () => {
    whole = await readFile(there(SD15));
  });
  const config = (): string => there(SD15).replace(/\.safetensors$/, "");
  const small: GenerateRequest = { prompt: "a", width: 64, height: 64, steps: 1, seed: 1 };

  it("that broke off", async () => {
    const path = join(folder, "truncated.safetensors");
    await writeFile(path, whole.subarray(0, whole.length - 1000));
    await refused(Pipeline.load(path, { config: config() }), "file_corrupt", "truncated.safetensors");
  });

  it("with a tensor missing and another too many", async () => {
    const path = join(folder, "renamed.safetensors");
    await writeFile(path, replaceInHeader(whole, "model.diffusion_model.out.2.bias", "model.diffusion_model.out.2.biaz"));
    const load = async (): Promise<void> => {
      const pipeline = await Pipeline.load(path, { config: config() });
      expect(pipeline.model.checkpoint.unknown.join()).toContain("out.2.biaz");
      await pipeline.generate(small);
    };
    await refused(load(), "checkpoint_incomplete", "conv_out.bias");
  });

  it("with NaN in its weights", async () => {
    const path = join(folder, "nan.safetensors");
    const { begin } = place(whole, "model.diffusion_model.out.2.weight");
    const broken = Buffer.from(whole);
    broken.writeUInt16LE(0x7e00, begin); // float16's NaN
    await writeFile(path, broken);
    const pipeline = await Pipeline.load(path, { config: config() });
    await refused(pipeline.generate(small), "numeric", /damaged|not a number/);
    await pipeline.dispose();
  });

  it.skipIf(!(KOHYA && DEPTH))("whose LoRA or ControlNet is for another architecture", async () => {
    const pipeline = await Pipeline.load(there(SD15), { config: config() });
    await refused(pipeline.generate({ ...small, loras: [{ file: there(KOHYA) }] }), "adapter_mismatch", "kohya");
    const control = { model: there(DEPTH), image: gradient(64, 64) };
    await refused(pipeline.generate({ ...small, controls: [control] }), "adapter_mismatch", "depth");
    await refused(pipeline.generate({ ...small, loras: [{ file: there(SD15) }] }), "adapter_mismatch");
    await pipeline.dispose();
  });

  it.skipIf(!TINY_XL)("whose folder lacks a network", async () => {
    const partial = join(folder, "partial");
    await mkdir(partial);
    for (const part of ["unet", "scheduler", "text_encoder", "model_index.json"])
      await cp(join(there(TINY_XL), part), join(partial, part), { recursive: true });
    await refused(Pipeline.load(partial), "checkpoint_incomplete");
  });
});

describe.skipIf(!TINY_XL)("a request", () => {
  let pipeline: Pipeline;
  beforeAll(async () => {
    pipeline = await loadTinyXl();
  });
  afterAll(() => pipeline.dispose());
  const image = gradient(64, 64);

  it.each<[string, Partial<GenerateRequest>, string]>([
    ["with a width that is no multiple of 8", { width: 100 }, "width"],
    ["with a height that is no multiple of 8", { height: 65 }, "height"],
    ["of no size", { width: 0 }, "width"],
    ["of a size that is not a number", { width: Number.NaN }, "width"],
    ["of a monstrous size", { width: 80_000 }, "width"],
    ["of no steps", { steps: 0 }, "steps"],
    ["of half a step", { steps: 1.5 }, "steps"],
    ["of 5000 steps", { steps: 5000 }, "steps"],
    ["with strength 0", { image, strength: 0 }, "strength"],
    ["with so little strength that no step is left", { image, strength: 0.1 }, "strength"],
    ["with strength 1.5", { image, strength: 1.5 }, "strength"],
    ["with a mask of another size", { image, mask: { width: 32, height: 64, data: new Uint8Array(2048) } }, "mask"],
    ["with a mask and no picture", { mask: { width: 64, height: 64, data: new Uint8Array(4096) } }, "mask"],
    ["with a prompt of 100 kB", { prompt: "word ".repeat(20_000) }, "prompt"],
    ["with a prompt of 100 kB in A1111's grammar", { prompt: "(".repeat(100_000), promptSyntax: "a1111" }, "prompt"],
    ["with a negative prompt of 100 kB", { negativePrompt: "x".repeat(100_000) }, "negativePrompt"],
    ["with an unknown scheduler", { scheduler: "Oiler" }, "scheduler"],
    ["with a negative seed", { seed: -1 }, "seed"],
    ["with a seed of 65 bits", { seed: 2n ** 64n }, "seed"],
    ["with guidance that is not a number", { guidanceScale: Number.NaN }, "guidanceScale"],
    ["that starts after it ends", { image, denoisingStart: 0.8, denoisingEnd: 0.5 }, "denoisingStart"],
    ["with timesteps that rise", { timesteps: [1, 500, 999] }, "timesteps"],
    ["with clip skip beyond the text encoder", { clipSkip: 9 }, "clipSkip"],
    ["with latents of another size", { image: { latents: new Float32Array(256), width: 4, height: 16 }, strength: 0.8 }, "image"],
  ])("%s", async (_name, change, subject) => {
    await refused(pipeline.generate({ ...SMALL, ...change }), "invalid_request");
    await expect(pipeline.generate({ ...SMALL, ...change })).rejects.toMatchObject({ subject: expect.stringContaining(subject) });
  });

  it("with a LoRA that is not there, or is no LoRA", async () => {
    await refused(pipeline.generate({ ...SMALL, loras: [{ file: join(folder, "no.safetensors") }] }), "file_not_found", "no.saf");
  });

  it("with a picture that broke off, is none, or would fill the memory", async () => {
    const png = await encodePng(image);
    const broken = png.slice(0, png.length / 2);
    const bomb = Buffer.from(png);
    bomb.writeUInt32BE(65_000, 16); // width and height, as the header claims them
    bomb.writeUInt32BE(65_000, 20);
    for (const bytes of [broken, bomb, new Uint8Array(0), Buffer.from("<svg/>"), Buffer.from("GIF89a")])
      await refused(pipeline.generate({ ...SMALL, image: bytes, strength: 0.5 }), "picture_invalid");
    await refused(pipeline.generate({ ...SMALL, image, mask: broken }), "picture_invalid");
  });

  it("that fails leaves the pipeline as it was", async () => {
    const before = await drawOne(pipeline, SMALL);
    await refused(pipeline.generate({ ...SMALL, steps: 0 }), "invalid_request");
    expect([...(await drawOne(pipeline, SMALL)).latents.latents]).toEqual([...before.latents.latents]);
  });

  it("whose picture cannot be written leaves no part of a file behind", async () => {
    const picture = await drawOne(pipeline, { ...SMALL, steps: 1 });
    const taken = join(folder, "taken.png");
    await mkdir(join(taken, "inside"), { recursive: true });
    const before = await readdir(folder);
    await refused(picture.save(taken), "file_not_found", "taken.png");
    await refused(picture.save(join(folder, "no such folder", "a.png")), "file_not_found", "a.png");
    await refused(picture.save(join(folder, "a.bmp")), "invalid_request", ".png");
    expect(await readdir(folder)).toEqual(before);
  });
});

function lengthOf(length: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(length));
  return bytes;
}

function withLength(json: Buffer): Buffer {
  return Buffer.concat([lengthOf(json.length), json]);
}

function body(header: Buffer, bytes: number): Buffer {
  return Buffer.concat([header, Buffer.alloc(bytes)]);
}

function replaceInHeader(file: Buffer, from: string, to: string): Buffer {
  const end = 8 + Number(file.readBigUInt64LE());
  const header = file.toString("latin1", 8, end);
  expect(header).toContain(`"${from}"`);
  const changed = Buffer.from(header.replace(`"${from}"`, `"${to}"`), "latin1");
  expect(changed.length).toBe(end - 8);
  return Buffer.concat([file.subarray(0, 8), changed, file.subarray(end)]);
}

/** Where a tensor's bytes lie in a file. */
function place(file: Buffer, name: string): { begin: number } {
  const end = 8 + Number(file.readBigUInt64LE());
  const header: Record<string, { data_offsets: [number, number] }> = JSON.parse(file.toString("utf8", 8, end));
  return { begin: end + (header[name]?.data_offsets[0] ?? 0) };
}
