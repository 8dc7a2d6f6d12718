import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GenerateRequest, type InpaintRequest, Pipeline } from "../src/index.ts";
import { DEPTH, difference, drawOne, gradient, INPAINT, loadTinyXl, SMALL, TINY_XL, there } from "./tiny-xl.ts";

const WIDE = 200;
const HIGH = 120;
/** White from 80 to 112 across and from 40 to 64 down. */
const BOX = { left: 80, top: 40, right: 112, bottom: 64 };

const IMAGE = gradient(WIDE, HIGH);
const MASK = {
  width: WIDE,
  height: HIGH,
  data: Uint8Array.from({ length: WIDE * HIGH }, (_, i) => {
    const [x, y] = [i % WIDE, Math.floor(i / WIDE)];
    return x >= BOX.left && x < BOX.right && y >= BOX.top && y < BOX.bottom ? 255 : 0;
  }),
};
const A1111: GenerateRequest = {
  ...SMALL,
  scheduler: { a1111: { sampler: "Euler", schedule: "Automatic" } },
  noise: "philox",
  image: IMAGE,
  mask: MASK,
  strength: 0.75,
};

/** How far each pixel is from the given picture, outside and inside a box. */
function changes(data: Uint8Array, reach: number): { outside: number; inside: number } {
  let [outside, inside] = [0, 0];
  for (let i = 0; i < data.length; i++) {
    const [x, y] = [Math.floor(i / 3) % WIDE, Math.floor(i / 3 / WIDE)];
    const within = x >= BOX.left - reach && x < BOX.right + reach && y >= BOX.top - reach && y < BOX.bottom + reach;
    const change = Math.abs((data[i] ?? 0) - (IMAGE.data[i] ?? 0));
    if (within) inside = Math.max(inside, change);
    else outside = Math.max(outside, change);
  }
  return { outside, inside };
}

describe.skipIf(!TINY_XL)("inpainting as AUTOMATIC1111 does it", () => {
  let pipeline: Pipeline;
  beforeAll(async () => {
    pipeline = await loadTinyXl();
  });
  afterAll(() => pipeline.dispose());
  const drawn = (inpaint: InpaintRequest, more: Partial<GenerateRequest> = {}) =>
    drawOne(pipeline, { ...A1111, ...more, inpaint });

  it("draws the masked part alone at the drawn size, and puts it back into the picture to the pixel", async () => {
    const found = await drawn({ region: "masked", padding: 8, blur: 2 });
    expect(found).toMatchObject({ width: WIDE, height: HIGH });
    expect(found.latents).toMatchObject({ width: 8, height: 8 });
    // 2 trunc(2.5 x 2 + 0.5) + 1 = 11 wide: the edge reaches 5 pixels out.
    const { outside, inside } = changes(found.picture.data, 5);
    expect(outside).toBe(0);
    expect(inside).toBeGreaterThan(20);
  });

  it("keeps everything outside the mask of a whole picture too", async () => {
    const found = await drawn({ blur: 0 }, { width: WIDE, height: HIGH });
    expect(found).toMatchObject({ width: WIDE, height: HIGH });
    const { outside, inside } = changes(found.picture.data, 0);
    expect(outside).toBe(0);
    expect(inside).toBeGreaterThan(20);
  });

  it("begins with what the fill says", async () => {
    const fills = ["original", "fill", "latent_noise", "latent_nothing"] as const;
    const latents = [];
    for (const fill of fills) latents.push((await drawn({ region: "masked", fill })).latents.latents);
    for (const [i, one] of latents.entries()) {
      for (const other of latents.slice(i + 1)) expect(difference(one, other)).toBeGreaterThan(0.01);
    }
  });

  it("takes a black mask for none where only the masked is drawn, as there", async () => {
    const black = { ...MASK, data: new Uint8Array(WIDE * HIGH) };
    const found = await drawn({ region: "masked" }, { mask: black });
    const { mask: _mask, ...plain } = A1111;
    const without = await drawOne(pipeline, { ...plain, width: 64, height: 64 });
    expect(difference(found.latents.latents, without.latents.latents)).toBe(0);
  });

  it.skipIf(!DEPTH)("shows a ControlNet the same part of its map", async () => {
    const inpaint = { region: "masked", padding: 8, blur: 2 } as const;
    const withMap = async (image: typeof IMAGE) =>
      (await drawn(inpaint, { controls: [{ model: there(DEPTH), image }] })).latents.latents;
    // The mask with its blurred edge and padding is 67 to 125 across and 27 to 77 down, and grows to a square.
    const blackened = (within: boolean) => ({
      ...IMAGE,
      data: IMAGE.data.map((value, i) => {
        const [x, y] = [Math.floor(i / 3) % WIDE, Math.floor(i / 3 / WIDE)];
        const isShown = x >= 67 && x < 125 && y >= 23 && y < 81;
        return isShown === within ? 0 : value;
      }),
    });
    const map = await withMap(IMAGE);
    expect(difference(await withMap(blackened(false)), map)).toBe(0);
    expect(difference(await withMap(blackened(true)), map)).toBeGreaterThan(0.001);
  });

  it("goes with diffusers' schedulers and with hires fix", async () => {
    const hires = { scale: 1.5, strength: 0.5 };
    const found = await drawn({ region: "masked", blur: 0 }, { scheduler: "Euler", noise: "torch-cpu", hires });
    expect(found).toMatchObject({ width: WIDE, height: HIGH });
    expect(changes(found.picture.data, 0).outside).toBe(0);
  });

  it.each([
    [{ blur: -1 }, {}, "inpaint.blur"],
    [{ padding: 0.5 }, {}, "inpaint.padding"],
    [{}, { image: { latents: new Float32Array(4 * 25 * 15), width: 25, height: 15 } }, "inpaint"],
  ] as const)("refuses %o", async (inpaint, more, subject) => {
    await expect(drawn(inpaint, more)).rejects.toMatchObject({ code: "invalid_request", subject });
  });
});

describe.skipIf(!INPAINT)("an inpainting checkpoint without a mask", () => {
  it("draws with words alone, from a picture, and twice for hires fix", async () => {
    const pipeline = await Pipeline.load(there(INPAINT));
    try {
      const { image: _image, mask: _mask, ...words } = A1111;
      const plain = await drawOne(pipeline, words);
      expect(plain).toMatchObject({ width: 64, height: 64 });
      const fromPicture = await drawOne(pipeline, { ...words, image: IMAGE });
      expect(difference(fromPicture.latents.latents, plain.latents.latents)).toBeGreaterThan(0.01);
      const hires = { scale: 1.5, strength: 0.5 };
      expect(await drawOne(pipeline, { ...SMALL, hires })).toMatchObject({ width: 96, height: 96 });
    } finally {
      await pipeline.dispose();
    }
  });
});
