import { describe, expect, test } from "vitest";
import { parseControlNetConfig } from "./parse-unet-config.ts";

describe("a ControlNet's config", () => {
  test("has diffusers' defaults where it is silent", () => {
    const config = parseControlNetConfig({}, "config.json");
    expect(config.conditioningEmbeddingOutChannels).toEqual([16, 32, 96, 256]);
    expect(config.blockOutChannels).toEqual([320, 640, 1280, 1280]);
  });

  test.each([
    ["controlnet_conditioning_channel_order", "bgr"],
    ["global_pool_conditions", true],
  ])("is refused with %s = %s, which would draw another picture", (field, value) => {
    expect(() => parseControlNetConfig({ [field]: value }, "config.json")).toThrow(
      expect.objectContaining({ code: "file_unsupported", message: expect.stringContaining(field) }),
    );
  });
});
