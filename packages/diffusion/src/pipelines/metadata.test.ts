import { describe, expect, test } from "vitest";
import { openCheckpoint } from "../checkpoint/checkpoint.ts";
import { parseInfotext } from "../pictures/infotext.ts";
import { referencePath } from "../testing/reference.ts";
import { completeRequest } from "./complete-request.ts";
import { pictureMetadata } from "./metadata.ts";
import type { GenerateRequest } from "./request.ts";

const PATH = referencePath("checkpoints/tiny-xl");

describe.skipIf(PATH === undefined)("a picture's metadata", () => {
  const written = async (request: GenerateRequest) => {
    const checkpoint = await openCheckpoint(PATH ?? "");
    const complete = completeRequest(request, { checkpoint, defaults: {} });
    const [seed] = complete.seeds;
    if (!seed) throw new Error("the request has no seed");
    const { parameters = "", kiln } = pictureMetadata(complete, seed, { width: 64, height: 64 }, checkpoint);
    return { settings: parseInfotext(parameters).settings, kiln };
  };

  test("names the strength of the pass that draws anew, where there is one", async () => {
    const strengthOf = async (request: Omit<GenerateRequest, "prompt">) =>
      (await written({ prompt: "a red house", ...request })).settings.get("Denoising strength");
    const image = { latents: new Float32Array(256), width: 8, height: 8 };
    expect(await strengthOf({})).toBeUndefined();
    expect(await strengthOf({ image, strength: 0.5 })).toBe("0.5");
    expect(await strengthOf({ hires: { upscaler: "latent" } })).toBe("0.6");
    expect(await strengthOf({ hires: { strength: 0.2 } })).toBe("0.2");
  });

  test("holds seeds to the last digit, and names schedulers as they were asked for", async () => {
    const a1111 = { sampler: "Euler a", schedule: "Karras" };
    const { settings, kiln } = await written({ prompt: "a red house", seed: 2n ** 64n - 1n, scheduler: { a1111 } });
    expect(settings.get("Seed")).toBe("18446744073709551615");
    expect([settings.get("Sampler"), settings.get("Schedule type"), settings.get("Model")]).toEqual([
      "Euler a",
      "Karras",
      "tiny-xl",
    ]);
    expect(kiln).toMatchObject({ model: "tiny-xl", seed: "18446744073709551615", scheduler: { a1111 } });
  });
});
