import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../../testing/start-test-server.ts";
import { A1111Calls, API, flat, sizeOf } from "./testing.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ KILN_TEST_ENGINE_STEP_MS: "5" });
});
afterAll(async () => {
  await server.close();
});
const { get, post, drawn, lastRequest } = new A1111Calls(() => server);

test("what LibreChat sends and reads", async () => {
  const body = {
    prompt: "a red fox",
    negative_prompt: "blurry",
    cfg_scale: 4.5,
    steps: 3,
    width: 1024,
    height: 1024,
  };
  const { images, info } = await drawn("/txt2img", body);
  expect(images[0]).not.toContain("data:");
  expect(await sizeOf(images[0])).toEqual({ width: 1024, height: 1024, format: "png" });
  expect(info).toMatchObject({
    width: 1024,
    height: 1024,
    prompt: "a red fox",
    negative_prompt: "blurry",
    cfg_scale: 4.5,
    steps: 3,
  });
  expect(Number.isInteger(info.seed)).toBe(true);
  expect(info.all_seeds).toEqual([info.seed]);
  expect(info.infotexts[0]).toMatch(
    /^a red fox\nNegative prompt: blurry\nSteps: 3, Sampler: Euler, CFG scale: 4\.5, Seed: \d+, Size: 1024x1024/,
  );
});

test("what is left out comes from the model", async () => {
  await drawn("/txt2img", { prompt: "x" });
  const request = await lastRequest();
  expect(request).toMatchObject({
    width: 256,
    height: 256,
    steps: 4,
    guidance_scale: 1,
    scheduler: "euler",
    noise: "philox",
    n: 1,
  });
  expect(Object.keys(request)).not.toContain("negative_prompt");
});

test("what SillyTavern sends and reads", async () => {
  expect((await get(`${API}/options`)).forge_preset).toBeUndefined();
  const names = async (list: string) => ((await get(`${API}/${list}`)) as unknown as { name: string }[]).map(({ name }) => name);
  expect(await names("upscalers")).toEqual(["None", "Lanczos", "Nearest"]);
  expect(await names("latent-upscale-modes")).toEqual(["Latent"]);
  expect(await names("samplers")).toEqual(expect.arrayContaining(["Euler a", "DPM++ 2M", "DPM++ SDE", "DDIM"]));
  expect(await names("schedulers")).toEqual(expect.arrayContaining(["automatic", "karras", "sgm_uniform"]));
  expect(await get(`${API}/sd-vae`)).toEqual([]);
  expect(await post(`${API}/options`, { sd_model_checkpoint: "kiln-test" })).toMatchObject({ status: 200, json: null });
  expect(await get(`${API}/progress`)).toMatchObject({ progress: 0, state: { job_count: 0 } });
  const { images, info } = await drawn("/txt2img", {
    prompt: "a cat",
    negative_prompt: "",
    sampler_name: "DPM++ 2M",
    scheduler: "karras",
    steps: 2,
    cfg_scale: 7,
    width: 256,
    height: 256,
    restore_faces: false,
    enable_hr: false,
    hr_upscaler: "Latent",
    hr_scale: 2,
    hr_second_pass_steps: 0,
    denoising_strength: 0.7,
    seed: -1,
    clip_skip: 1,
    override_settings: { CLIP_stop_at_last_layers: 1, sd_vae: "Automatic", forge_additional_modules: [] },
    save_images: true,
    send_images: true,
    do_not_save_grid: false,
    do_not_save_samples: false,
  });
  expect(images).toHaveLength(1);
  expect(info).toMatchObject({ sampler_name: "DPM++ 2M", comments: "" });
  expect(info.infotexts[0]).toContain("Sampler: DPM++ 2M, Schedule type: Karras");
  expect(await lastRequest()).toMatchObject({
    a1111: { sampler: "DPM++ 2M", schedule: "karras" },
    prompt_syntax: "a1111",
    clip_skip: 0,
  });
});

test.each([
  [{ sampler_name: "DPM++ 2M Karras" }, { sampler: "DPM++ 2M", schedule: "karras" }],
  [{ sampler_index: "Euler a" }, { sampler: "Euler a", schedule: "automatic" }],
  [
    { sampler_name: "k_euler", sampler_index: "DDIM" },
    { sampler: "Euler", schedule: "automatic" },
  ],
  [
    { sampler_name: "Euler", scheduler: "SGM Uniform" },
    { sampler: "Euler", schedule: "sgm_uniform" },
  ],
  [
    { sampler_name: "Euler", scheduler: "one of a fork" },
    { sampler: "Euler", schedule: "automatic" },
  ],
  [
    { sampler_name: "Euler a", eta: 0.5, s_noise: 1, s_churn: 0 },
    { sampler: "Euler a", schedule: "automatic", options: { eta: 0.5, s_noise: 1, s_churn: 0 } },
  ],
])("sampler names: %j", async (fields, a1111) => {
  await drawn("/txt2img", { prompt: "x", steps: 1, ...fields });
  expect((await lastRequest()).a1111).toEqual(a1111);
});

test("a sampler that is not there is what AI-Render looks for", async () => {
  expect(await post(`${API}/txt2img`, { prompt: "x", sampler_name: "Magic" })).toMatchObject({
    status: 400,
    json: { detail: "Sampler not found" },
  });
  expect(await server.call("GET", `${API}/nowhere`)).toMatchObject({ status: 404, json: { detail: "Not Found" } });
});

test("pictures of several batches have seeds that follow one another", async () => {
  const { images, info } = await drawn("/txt2img", {
    prompt: "x",
    steps: 1,
    seed: 100,
    batch_size: 2,
    n_iter: 2,
    width: 70,
    height: 64,
  });
  expect(info.all_seeds).toEqual([100, 101, 102, 103]);
  expect(info.infotexts).toHaveLength(4);
  expect(info.infotexts[3]).toContain("Seed: 103");
  expect(await sizeOf(images[3])).toEqual({ width: 64, height: 64, format: "png" });
  const { data } = await sharp(Buffer.from(images[3] ?? "", "base64"))
    .raw()
    .toBuffer({ resolveWithObject: true });
  expect([...data.subarray(0, 3)]).toEqual([103, 0, 0]);
  expect((await drawn("/txt2img", { prompt: "x", steps: 1, send_images: false })).images).toEqual([]);
});

test("with a variation the seed stays and the variation's seeds follow one another", async () => {
  const body = { prompt: "x", steps: 1, seed: 100, subseed: 40, batch_size: 2, n_iter: 2, width: 64, height: 64 };
  const { images, info } = await drawn("/txt2img", {
    ...body,
    subseed_strength: 0.25,
    seed_resize_from_w: 130,
    seed_resize_from_h: 64,
  });
  expect(info).toMatchObject({ seed: 100, all_seeds: [100, 100, 100, 100], subseed: 40, all_subseeds: [40, 41, 42, 43] });
  expect(info).toMatchObject({ subseed_strength: 0.25, seed_resize_from_w: 128, seed_resize_from_h: 64, comments: "" });
  expect(info.infotexts[3]).toContain(
    "Seed: 100, Size: 64x64, Model: kiln-test, Variation seed: 43, Variation seed strength: 0.25, Seed resize from: 128x64",
  );
  const read = await post(`${API}/png-info`, { image: images[3] });
  expect(read.json).toMatchObject({ parameters: { "Variation seed": "43", "Variation seed strength": "0.25" } });
  expect(await lastRequest()).toMatchObject({ seed: 100, variation: { strength: 0.25 }, n: 2 });
  const plain = await drawn("/txt2img", { ...body, subseed_strength: 0, seed_resize_from_w: -1, seed_resize_from_h: 0 });
  expect(plain.info).toMatchObject({ all_seeds: [100, 101, 102, 103], all_subseeds: [40, 41, 42, 43], subseed_strength: 0 });
  expect(plain.info.infotexts[3]).not.toContain("Variation");
});

test("settings of one request hold for it alone", async () => {
  const { images, info } = await drawn("/txt2img", {
    prompt: "x",
    steps: 1,
    override_settings: {
      sd_model_checkpoint: "kiln-test",
      samples_format: "jpg",
      CLIP_stop_at_last_layers: 3,
      sdxl_clip_l_skip: true,
      randn_source: "CPU",
      eta_noise_seed_delta: 31337,
      an_unknown: 1,
    },
  });
  expect((await sizeOf(images[0])).format).toBe("jpeg");
  expect(info.clip_skip).toBe(3);
  expect(info.infotexts[0]).toContain(", ENSD: 31337, ");
  expect(await lastRequest()).toMatchObject({ clip_skip: 2, noise: "torch-cpu", noise_seed_delta: 31337 });
  expect(await get(`${API}/options`)).toMatchObject({ samples_format: "png", CLIP_stop_at_last_layers: 1, randn_source: "GPU" });
  const unknown = await post(`${API}/txt2img`, { prompt: "x", override_settings: { sd_model_checkpoint: "v1-5" } });
  expect(unknown).toMatchObject({ status: 422, json: { detail: [{ loc: ["body", "override_settings"] }] } });
});

test("img2img with a mask, a resize mode and several pictures", async () => {
  const body = {
    init_images: [`data:image/png;base64,${await flat(128, 64)}`],
    prompt: "x",
    width: 64,
    height: 64,
    steps: 2,
    resize_mode: 1,
  };
  const first = await drawn("/img2img", { ...body, seed: 5, denoising_strength: 0.4 });
  expect(first.parameters).toMatchObject({ init_images: null, mask: null, prompt: "x" });
  expect(first.info.denoising_strength).toBe(0.4);
  expect(await lastRequest()).toMatchObject({ strength: 0.4, width: 64, seed: 5 });
  const mask = await flat(128, 64, { r: 255, g: 255, b: 255 });
  const masked = await drawn("/img2img", {
    ...body,
    mask,
    inpainting_mask_invert: 1,
    inpaint_full_res: true,
    include_init_images: true,
  });
  expect(masked.parameters.mask).toBe(mask);
  expect(masked.info.comments).toBe("");
  expect(await storedMask()).toMatchObject({ width: 128, height: 64, max: 0 });
  const several = await drawn("/img2img", { ...body, init_images: [await flat(64, 64), await flat(64, 64)], seed: 7 });
  expect(several.info.all_seeds).toEqual([7, 8]);
  const broken = { ...body, init_images: ["bm90IGEgcGljdHVyZSBhdCBhbGw="] };
  expect(await post(`${API}/img2img`, broken)).toMatchObject({
    status: 422,
    json: { detail: [{ loc: ["body", "init_images"] }] },
  });
  expect(await post(`${API}/img2img`, { prompt: "x" })).toMatchObject({
    status: 422,
    json: { detail: [{ loc: ["body", "init_images"] }] },
  });
});

/** The latest job's mask as it lies in the storage. */
async function storedMask(): Promise<{ width: number; height: number; min: number | undefined; max: number | undefined }> {
  const { bytes } = await server.context.pictures.open(String((await lastRequest()).mask).slice("upload:".length), LOCAL);
  const { width, height } = await sharp(bytes).metadata();
  const [grey] = (await sharp(bytes).stats()).channels;
  return { width, height, min: grey?.min, max: grey?.max };
}

test("a mask is painted over as A1111 does it, also where nothing is said", async () => {
  const body = { init_images: [await flat(128, 96)], mask: await flat(128, 96, { r: 255, g: 255, b: 255 }), prompt: "x" };
  const small = { ...body, width: 64, height: 64, steps: 1 };
  const { info } = await drawn("/img2img", small);
  expect((await lastRequest()).inpaint).toEqual({ region: "masked", padding: 0, blur: 4, blur_y: 4, fill: "fill" });
  expect(info.infotexts[0]).toContain(
    "Mask blur: 4, Inpaint area: Only masked, Masked area padding: 0, Masked content: fill, RNG: NV",
  );
  const own = { mask_blur: 9, mask_blur_x: 1, inpaint_full_res: true, inpaint_full_res_padding: 24, inpainting_fill: 1 };
  await drawn("/img2img", { ...small, ...own });
  expect((await lastRequest()).inpaint).toEqual({ region: "masked", padding: 24, blur: 9, blur_y: 9, fill: "original" });
  await drawn("/img2img", { ...small, mask_blur_x: 2, mask_blur_y: 0, inpaint_full_res: 0, inpainting_fill: 2 });
  expect((await lastRequest()).inpaint).toEqual({ region: "whole", padding: 0, blur: 2, blur_y: 0, fill: "latent_noise" });
  expect(await storedMask()).toMatchObject({ width: 128, height: 96 });
  await drawn("/img2img", { ...small, inpaint_full_res: false, resize_mode: 2, inpainting_fill: 3 });
  expect(await storedMask()).toMatchObject({ width: 64, height: 64, min: 255 });
  expect((await lastRequest()).inpaint).toMatchObject({ fill: "latent_nothing" });
  const half = await flat(128, 96, { r: 0, g: 0, b: 0, alpha: 0.6 });
  await drawn("/img2img", { ...small, mask: half });
  expect(await storedMask()).toMatchObject({ min: 255, max: 255 });
  await drawn("/img2img", { ...small, mask: half, mask_round: false, inpainting_mask_invert: 1 });
  expect(await storedMask()).toMatchObject({ min: 102, max: 102 });
  const plain = await drawn("/img2img", { ...small, mask: null, initial_noise_multiplier: 1.1, s_min_uncond: 0.5 });
  expect(plain.info.comments).toContain("initial_noise_multiplier");
  expect(plain.info.comments).toContain("s_min_uncond");
  expect(Object.keys(await lastRequest())).not.toContain("inpaint");
});

test("a transparent picture lies on white, and resize and fill repeats its edges", async () => {
  const image = await flat(64, 32, { r: 0, g: 0, b: 255, alpha: 0 });
  await drawn("/img2img", { init_images: [image], prompt: "x", width: 64, height: 64, steps: 1, resize_mode: 2 });
  const { bytes } = await server.context.pictures.open(String((await lastRequest()).image).slice("upload:".length), LOCAL);
  const { channels } = await sharp(bytes).stats();
  expect(await sharp(bytes).metadata()).toMatchObject({ width: 64, height: 64, hasAlpha: false });
  expect(channels.map(({ min }) => min)).toEqual([255, 255, 255]);
});

test("hires fix", async () => {
  const body = { prompt: "x", width: 128, height: 64, steps: 2, enable_hr: true };
  const latent = await drawn("/txt2img", {
    ...body,
    hr_scale: 1.5,
    hr_upscaler: "Latent (bicubic)",
    hr_second_pass_steps: 7,
    denoising_strength: 0.5,
  });
  expect((await lastRequest()).hires).toEqual({ scale: 1.5, upscaler: "latent", strength: 0.5, steps: 7 });
  expect(latent.info.comments).toBe("hr_upscaler: Latent (bicubic) is not installed for hires fix; Latent was used.");
  const { info } = await drawn("/txt2img", {
    ...body,
    hr_resize_x: 256,
    hr_resize_y: 128,
    hr_upscaler: "R-ESRGAN 4x+",
  });
  expect((await lastRequest()).hires).toMatchObject({ size: { width: 256, height: 128 }, upscaler: "lanczos" });
  expect(info.comments).toContain("R-ESRGAN 4x+ is not installed");
  const vast = await post(`${API}/txt2img`, { ...body, width: 2048, height: 2048, hr_scale: 4 });
  expect(vast).toMatchObject({ status: 422, json: { detail: [{ loc: ["body", "enable_hr", "scale"] }] } });
  // 4096 down fit, but the picture that covers them in its own shape is of 8192 across.
  const long = await post(`${API}/txt2img`, { ...body, hr_resize_x: 128, hr_resize_y: 4096 });
  expect(long).toMatchObject({ status: 422, json: { detail: [{ loc: ["body", "enable_hr", "size"] }] } });
});

test.each([
  [
    { hr_resize_x: 200, hr_resize_y: 257 },
    { width: 200, height: 256 },
  ],
  [
    { hr_resize_x: 304, hr_resize_y: 0 },
    { width: 304, height: 152 },
  ],
  [{ hr_resize_y: 100 }, { width: 200, height: 96 }],
])("hires fix to a size: %j", async (fields, size) => {
  const body = { prompt: "x", width: 128, height: 64, steps: 2, enable_hr: true, hr_scale: 3, ...fields };
  const { info } = await drawn("/txt2img", body);
  expect((await lastRequest()).hires).toMatchObject({ size });
  expect(info.infotexts[0]).toContain(`, Hires resize: ${size.width}x${size.height}, `);
  expect(info.infotexts[0]).not.toContain("Hires upscale:");
});

test("the second pass has words, a sampler, guidance and a checkpoint of its own", async () => {
  const body = { prompt: "x", negative_prompt: "grey", width: 64, height: 64, steps: 2, enable_hr: true, sampler_name: "Euler" };
  const { info } = await drawn("/txt2img", {
    ...body,
    hr_prompt: "y, with detail",
    hr_negative_prompt: "blurry",
    hr_sampler_name: "DPM++ 2M",
    hr_scheduler: "Karras",
    hr_cfg: 3.5,
    hr_checkpoint_name: "kiln-test",
  });
  expect((await lastRequest()).hires).toMatchObject({
    prompt: "y, with detail",
    negative_prompt: "blurry",
    guidance_scale: 3.5,
    a1111: { sampler: "DPM++ 2M", schedule: "karras" },
    model: "kiln-test",
    loras: [],
  });
  expect(info.comments).toBe("");
  expect(info.infotexts[0]).toContain(
    'Hires checkpoint: kiln-test, Hires sampler: DPM++ 2M, Hires schedule type: Karras, Hires CFG Scale: 3.5, Hires prompt: "y, with detail", Hires negative prompt: blurry, Hires upscale: 2, Hires upscaler: Latent',
  );
  const same = {
    hr_prompt: "",
    hr_negative_prompt: "grey",
    hr_sampler_name: "Use same sampler",
    hr_scheduler: "Use same scheduler",
    hr_checkpoint_name: "Use same checkpoint",
  };
  await drawn("/txt2img", { ...body, ...same });
  expect((await lastRequest()).hires).toEqual({ scale: 2, upscaler: "latent", strength: 0.75 });
  expect(await post(`${API}/txt2img`, { ...body, hr_sampler_name: "Magic" })).toMatchObject({
    status: 400,
    json: { detail: "Sampler not found" },
  });
  const refused = await post(`${API}/txt2img`, { ...body, hr_checkpoint_name: "nobody" });
  expect(refused).toMatchObject({ status: 422, json: { detail: [{ loc: ["body", "enable_hr"] }] } });
  const indecent = await post(`${API}/txt2img`, { ...body, hr_prompt: "nude child" });
  expect(indecent).toMatchObject({ status: 400 });
});

test("what is not there is skipped and said, as A1111 does with LoRAs", async () => {
  const { info } = await drawn("/txt2img", {
    prompt: "a <lora:nobody:0.5> cat",
    styles: ["unknown"],
    steps: 1,
    restore_faces: true,
    alwayson_scripts: { ADetailer: { args: [true] } },
    an_unknown_field: [1],
  });
  expect(info).toMatchObject({ prompt: "a <lora:nobody:0.5> cat", restore_faces: false, styles: ["unknown"] });
  expect(info.comments).toBe(
    "Networks not found: nobody\nrestore_faces: no face restoration is installed.\nalwayson_scripts: ADetailer not found.",
  );
  expect(await lastRequest()).toMatchObject({ prompt: "a  cat", loras: [] });
  expect(await post(`${API}/txt2img`, { prompt: "x", script_name: "SD upscale" })).toMatchObject({ status: 422 });
});

const LOCAL = {
  owner: "local",
  role: "admin" as const,
  ratePerMinute: undefined,
  quotaPicturesPerDay: undefined,
  contentCeiling: undefined,
};
