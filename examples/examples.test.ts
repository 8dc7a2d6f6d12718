import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { decodePicture, encodePng, readPictureMetadata } from "@kiln/diffusion";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { referencePath } from "../packages/diffusion/src/testing/reference.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Lets `node` run the sources, so that no build is needed. */
const fromSources = ["--conditions=kiln-source", "--import", join(root, "packages/server/src/testing/run-sources.mjs")];

const tiny = referencePath("checkpoints/tiny-xl");
const lora = referencePath("checkpoints/loras/kohya.safetensors");
const control = referencePath("checkpoints/tiny-xl-controlnet-pose");
if (!tiny || !lora || !control) console.error("Skipped: the small reference checkpoints are not here.");

describe("examples", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "kiln-example-"));
    symlinkSync(join(root, "models"), join(folder, "models"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  async function run(name: string, ...parameters: string[]): Promise<string> {
    const command = [...fromSources, join(root, "examples", name), ...parameters];
    return (await promisify(execFile)(process.execPath, command, { cwd: folder })).stdout;
  }

  async function sizeOf(name: string): Promise<number[]> {
    const { width, height } = await decodePicture(await readFile(join(folder, name)), name);
    return [width, height];
  }

  it("five-lines draws a house", async () => {
    await run("five-lines.mjs");
    expect(await sizeOf("house.png")).toEqual([256, 256]);
    const { parameters } = await readPictureMetadata(await readFile(join(folder, "house.png")));
    expect(parameters).toContain("a red house on green hills at sunset");
  });

  it("image-to-image draws from its own picture", async () => {
    await run("image-to-image.mjs");
    expect(await sizeOf("after.png")).toEqual([256, 256]);
    expect(await readFile(join(folder, "after.png"))).not.toEqual(await readFile(join(folder, "before.png")));
  });

  it("batch-with-progress draws four pictures and tells of each", async () => {
    const told = await run("batch-with-progress.mjs");
    for (const n of [1, 2, 3, 4]) expect(told).toContain(`picture ${n}: denoising, step 12 of 12`);
    for (const seed of [10, 11, 12, 13]) expect(await sizeOf(`tent-${seed}.png`)).toEqual([256, 256]);
  });

  it.skipIf(!tiny || !lora)("lora draws with three weights", async () => {
    await run("lora.mjs", tiny ?? "", lora ?? "");
    const [none, half, full] = await Promise.all(["0", "0.5", "1"].map((weight) => readFile(join(folder, `lora-${weight}.png`))));
    expect(none?.equals(half ?? Buffer.of())).toBe(false);
    expect(half?.equals(full ?? Buffer.of())).toBe(false);
  });

  it.skipIf(!tiny || !control)("controlnet follows a picture", async () => {
    const hint = { width: 128, height: 128, data: new Uint8Array(128 * 128 * 3).fill(200) };
    await writeFile(join(folder, "pose.png"), await encodePng(hint));
    await run("controlnet.mjs", tiny ?? "", control ?? "", "pose.png");
    expect(await sizeOf("controlled.png")).toEqual([128, 128]);
  });
});
