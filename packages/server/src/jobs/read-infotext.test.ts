import { expect, test } from "vitest";
import { Catalogue } from "../models/catalogue.ts";
import { requestOfInfotext } from "./read-infotext.ts";

const catalogue = new Catalogue({ scan: async () => [], aliases: () => ({}), defaultModel: undefined });

test("another tool's parameters become a request, without what is not installed and what is out of range", () => {
  const text =
    "a boat\nNegative prompt: rain\nSteps: 30, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 18446744073709551615, Size: 832x1216, Model: elsewhere";
  expect(requestOfInfotext(text, catalogue)).toEqual({
    prompt: "a boat",
    negative_prompt: "rain",
    steps: 30,
    guidance_scale: 7,
    scheduler: "dpmpp_2m_karras",
    seed: "18446744073709551615",
    width: 832,
    height: 1216,
  });
  expect(requestOfInfotext("a boat\nSteps: 3000, Sampler: Nobody's, Seed: -1, Size: 9x9, CFG scale: much", catalogue)).toEqual({
    prompt: "a boat",
  });
  const varied = "a boat\nSteps: 9, Seed: 4, Variation seed: 77, Variation seed strength: 0.2, Seed resize from: 640x512";
  expect(requestOfInfotext(varied, catalogue)).toMatchObject({
    seed: "4",
    variation: { seed: "77", strength: 0.2 },
    seed_resize_from: { width: 640, height: 512 },
  });
  expect(requestOfInfotext("a comment of a camera", catalogue)).toBeUndefined();
});
