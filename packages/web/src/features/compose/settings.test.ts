import { describe, expect, it } from "vitest";
import { readJob } from "../../api/readers.ts";
import { INITIAL_SETTINGS, readSettings, seedFault, settingsOfPicture, toRequest } from "./settings.ts";

describe("toRequest", () => {
  it("leaves out what the model decides", () => {
    expect(toRequest({ ...INITIAL_SETTINGS, prompt: "  a tent " })).toEqual({ prompt: "a tent" });
  });

  it("sends a seed only when it is locked", () => {
    expect(toRequest({ ...INITIAL_SETTINGS, prompt: "a", seed: "7" })).not.toHaveProperty("seed");
    expect(toRequest({ ...INITIAL_SETTINGS, prompt: "a", seed: "18446744073709551615", seedLocked: true }).seed).toBe(
      "18446744073709551615",
    );
  });

  it("sends a strength only with a picture", () => {
    const source = { reference: "upload:a", url: "/a", width: 8, height: 8 };
    expect(toRequest({ ...INITIAL_SETTINGS, prompt: "a" })).not.toHaveProperty("strength");
    expect(toRequest({ ...INITIAL_SETTINGS, prompt: "a", source })).toMatchObject({ image: "upload:a", strength: 0.6 });
  });
});

describe("settingsOfPicture", () => {
  it("makes the same request again, with the picture's own seed", () => {
    const job = readJob({
      id: "j",
      status: "completed",
      request: {
        prompt: "a tent",
        negative_prompt: "blurry",
        width: 256,
        height: 192,
        steps: 9,
        guidance_scale: 2,
        scheduler: "ddim",
        seed: 4,
        n: 2,
        image: "image:x",
        strength: 0.3,
      },
      images: [
        { id: "a", seed: 4 },
        { id: "b", seed: "18446744073709551615" },
      ],
    });
    const settings = settingsOfPicture(job, job.images[1], (reference) => `/of/${reference}`);
    expect(toRequest(settings)).toEqual({
      prompt: "a tent",
      negative_prompt: "blurry",
      width: 256,
      height: 192,
      steps: 9,
      guidance_scale: 2,
      scheduler: "ddim",
      seed: "18446744073709551615",
      image: "image:x",
      strength: 0.3,
    });
  });
});

describe("readSettings", () => {
  it("reads what it wrote", () => {
    const settings = {
      ...INITIAL_SETTINGS,
      prompt: "a",
      size: { width: 64, height: 2048 },
      steps: 150,
      seed: "5",
      seedLocked: true,
      count: 8,
    };
    expect(readSettings(JSON.parse(JSON.stringify(settings)))).toEqual(settings);
  });

  it("starts afresh from anything else", () => {
    for (const value of [
      null,
      3,
      "x",
      [],
      { prompt: 4, steps: "9", size: { width: 1 }, seed: -1, count: 99, source: { url: "//other.host/x", reference: 1 } },
    ]) {
      expect(readSettings(value)).toEqual(INITIAL_SETTINGS);
    }
  });
});

describe("seedFault", () => {
  it("takes whole numbers up to 2^64 - 1", () => {
    expect(["", "0", "18446744073709551615"].map(seedFault)).toEqual([undefined, undefined, undefined]);
    expect(seedFault("18446744073709551616")).toMatch(/at most 18446744073709551615/);
    expect(seedFault("-1")).toMatch(/whole number/);
  });
});
