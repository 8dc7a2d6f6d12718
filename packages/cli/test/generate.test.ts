import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodePicture, encodePng, readPictureMetadata } from "@kiln/diffusion";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { kiln, root, startKiln } from "./run-kiln.ts";

const HOUSE = "a red house on green hills at sunset";

describe("kiln generate", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "kiln-cli-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("draws with the demo, says so, and prints the picture's path alone on standard output", async () => {
    const { code, out, err } = await kiln(["generate", "a", "red", "dragon", "--steps", "4", "--seed", "7"], folder);
    expect(err).toMatch(/demo checkpoint/);
    expect(err).toMatch(/never taught "dragon"/);
    expect(err).toMatch(/Step 4 of 4 {2}\d+\.\d\d s\/step/);
    expect(out).toBe("kiln-7.png\n");
    expect(code).toBe(0);
    const bytes = await readFile(join(folder, "kiln-7.png"));
    expect(await decodePicture(bytes, "kiln-7.png")).toMatchObject({ width: 256, height: 256 });
    const { parameters } = await readPictureMetadata(bytes);
    expect(parameters).toMatch(/^a red dragon\nSteps: 4, .*Seed: 7/);
  });

  it("draws the same picture from the same seed, and what was there stays", async () => {
    for (let i = 0; i < 2; i++) await kiln(["generate", HOUSE, "--steps", "3", "--seed", "7", "--quiet"], folder);
    const [first, second] = await Promise.all(["kiln-7.png", "kiln-7-2.png"].map((name) => readFile(join(folder, name))));
    expect(first?.equals(second ?? Buffer.of())).toBe(true);
  });

  it("draws several pictures into a folder that it makes, and tells of them as JSON", async () => {
    const request = ["generate", HOUSE, "--count", "2", "--seed", "18446744073709551615", "--steps", "3", "--size", "192x320"];
    const { code, out, err } = await kiln([...request, "--out", "new/", "--format", "webp", "--json"], folder);
    expect([code, err]).toEqual([0, ""]);
    const result: unknown = JSON.parse(out);
    expect(result).toMatchObject({
      demo: true,
      pictures: [
        { seed: "18446744073709551615", width: 192, height: 320 },
        { seed: "0", width: 192, height: 320 },
      ],
    });
    expect(readdirSync(join(folder, "new")).sort()).toEqual(["kiln-0.webp", "kiln-18446744073709551615.webp"]);
  });

  it("goes on from a picture, paints under a mask, with other schedulers and without metadata", async () => {
    const small = ["--steps", "4", "--seed", "1", "--quiet"];
    await kiln(["generate", HOUSE, ...small, "--out", "house.png"], folder);
    const sharpWhite = join(folder, "mask.png");
    await writeFile(sharpWhite, await encodePng({ width: 256, height: 256, data: new Uint8Array(256 * 256).fill(255) }));
    const again = ["--image", "house.png", "--strength", "0.6", "--scheduler", "DPM++ 2M Karras", "--no-metadata"];
    expect((await kiln(["generate", "a blue house", ...small, ...again, "--out", "blue.png"], folder)).code).toBe(0);
    const inpaint = ["--image", "house.png", "--mask", "mask.png", "--sampler", "Euler a", "--schedule", "Karras"];
    expect((await kiln(["generate", "(a tent:1.2)", ...small, ...inpaint, "--out", "tent.jpg"], folder)).code).toBe(0);
    expect(await readPictureMetadata(await readFile(join(folder, "blue.png")))).toEqual({});
    expect((await readPictureMetadata(await readFile(join(folder, "tent.jpg")))).parameters).toMatch(/Sampler: Euler a/);
  });

  it("stops at Ctrl-C, leaves nothing behind and says so by its exit code", async () => {
    const running = startKiln(["generate", HOUSE, "--steps", "1000"], folder);
    await running.heard(/Drawing/);
    running.child.kill("SIGINT");
    const { code, out, err } = await running.ended;
    expect(err).toMatch(/\[cancelled\]\n$/);
    expect([code, out]).toEqual([130, ""]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each([
    { wrong: ["--steps", "0"], says: /steps must be from 1 to 1000, not 0\. \[invalid_request\]/ },
    { wrong: ["--steps", "many"], says: /--steps must be a whole number, not "many"\. \[invalid_request\]/ },
    { wrong: ["--stpes", "4"], says: /Did you mean --steps\?.*\[invalid_request\]/ },
    { wrong: ["--size", "250x250"], says: /width must be a multiple of 8.*\[invalid_request\]/ },
    { wrong: ["--size", "huge"], says: /--size must be WIDTHxHEIGHT/ },
    { wrong: ["--mask", "mask.png"], says: /--mask needs --image/ },
    { wrong: ["--scheduler", "Euler", "--sampler", "Euler"], says: /leave one of them out/ },
    { wrong: ["--scheduler", "Oiler"], says: /There is no scheduler named "Oiler"; .*\[invalid_request\]/ },
    { wrong: ["--model", "nowhere.safetensors"], says: /nowhere\.safetensors.*\[file_not_found\]/ },
    { wrong: ["--image", "nowhere.png"], says: /nowhere\.png.*\[/ },
    { wrong: ["--lora", "nowhere.safetensors:0.5"], says: /nowhere\.safetensors.*\[file_not_found\]/ },
    { wrong: ["--out", "missing/picture.png"], says: /missing cannot be written.*\[file_not_found\]/ },
    { wrong: ["--out", "picture.gif"], says: /--out must be a folder, or end in/ },
  ])("refuses $wrong in one sentence", async ({ wrong, says }) => {
    const { code, out, err } = await kiln(["generate", HOUSE, "--quiet", ...wrong], folder);
    expect(err).toMatch(says);
    expect(err.trim().split("\n")).toHaveLength(1);
    expect([code, out]).toEqual([1, ""]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("tells failures as JSON where JSON is asked for, and shows the stack when it is debugged", async () => {
    const { code, out, err } = await kiln(["generate", HOUSE, "--steps", "0", "--json"], folder, { KILN_DEBUG: "1" });
    expect(JSON.parse(out)).toMatchObject({ error: { code: "invalid_request", subject: "steps" } });
    expect(err).toMatch(/^KilnError: .*\n +at /);
    expect(code).toBe(1);
  });

  it("reads a LoRA that does not fit as what it is", async () => {
    const vae = join(root, "models/kiln-demo/vae/diffusion_pytorch_model.safetensors");
    const { code, err } = await kiln(["generate", HOUSE, "--quiet", "--lora", vae], folder);
    expect(err).toMatch(/\[(adapter_mismatch|file_unsupported)\]/);
    expect(code).toBe(1);
  });
});
