import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Pipeline } from "../src/index.ts";
import { difference, drawOne, gradient, loadTinyXl, SD15, SMALL, TAESD, TINY_XL, there } from "./tiny-xl.ts";

describe.skipIf(!TINY_XL || !SD15)("a VAE for one request", () => {
  let pipeline: Pipeline;
  beforeAll(async () => {
    pipeline = await loadTinyXl();
  });
  afterAll(() => pipeline.dispose());
  const other = () => there(SD15);

  it("decodes the same latents to another picture, beside requests with the checkpoint's own", async () => {
    const [own, chosen] = await Promise.all([drawOne(pipeline, SMALL), drawOne(pipeline, { ...SMALL, vae: other() })]);
    expect(difference(chosen.latents.latents, own.latents.latents)).toBe(0);
    expect(difference(chosen.pixels, own.pixels)).toBeGreaterThan(0.01);
    const named = await drawOne(pipeline, { ...SMALL, vae: join(there(TINY_XL), "vae") });
    expect(difference(named.pixels, own.pixels)).toBe(0);
  });

  it("is the VAE that a pipeline can be loaded with, also for the picture to start from and every pass", async () => {
    const request = { ...SMALL, image: gradient(64, 64), strength: 0.5, hires: { scale: 1.25, strength: 0.5 } };
    const loaded = await loadTinyXl({ vae: other() });
    const expected = await drawOne(loaded, request).finally(() => loaded.dispose());
    const chosen = await drawOne(pipeline, { ...request, vae: other() });
    expect(difference(chosen.pixels, expected.pixels)).toBe(0);
    expect(difference(chosen.pixels, (await drawOne(pipeline, request)).pixels)).toBeGreaterThan(0.01);
  });

  it("is refused where it is none", async () => {
    await expect(drawOne(pipeline, { ...SMALL, vae: there(TAESD) })).rejects.toMatchObject({ code: "checkpoint_unknown" });
    await expect(drawOne(pipeline, { ...SMALL, vae: "/nowhere.safetensors" })).rejects.toMatchObject({ code: "file_not_found" });
  });
});
