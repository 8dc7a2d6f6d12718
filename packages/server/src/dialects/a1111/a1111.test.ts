import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../../testing/start-test-server.ts";

const API = "/sdapi/v1";
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ KILN_TEST_ENGINE_STEP_MS: "5" });
});
afterAll(async () => {
  await server.close();
});

const get = async (path: string) => (await server.call("GET", path)).json as Record<string, unknown>;
const post = async (path: string, body: unknown = {}) => await server.call("POST", path, body);

interface Drawn {
  images: string[];
  parameters: Record<string, unknown>;
  info: Record<string, unknown> & { infotexts: string[]; all_seeds: number[] };
}

async function drawn(path: string, body: object): Promise<Drawn> {
  const { status, json } = await post(API + path, body);
  if (status !== 200) throw new Error(`${path} is answered ${status}: ${JSON.stringify(json)}`);
  const { images, parameters, info } = json as { images: string[]; parameters: Record<string, unknown>; info: string };
  expect(typeof info).toBe("string");
  return { images, parameters, info: JSON.parse(info) as Drawn["info"] };
}

async function lastRequest(): Promise<Record<string, unknown>> {
  const { jobs } = (await get("/v1/jobs?limit=1")) as { jobs: { request: Record<string, unknown> }[] };
  return jobs[0]?.request ?? {};
}

const sizeOf = async (base64: string | undefined) => {
  const { width, height, format } = await sharp(Buffer.from(base64 ?? "", "base64")).metadata();
  return { width, height, format };
};

const flat = async (width: number, height: number, background: object = { r: 0, g: 0, b: 255 }) => {
  const channels = "alpha" in background ? 4 : 3;
  return (await sharp({ create: { width, height, channels, background } }).png().toBuffer()).toString("base64");
};

async function until<T>(look: () => Promise<T>, isThere: (found: T) => boolean): Promise<T> {
  for (;;) {
    const found = await look();
    if (isThere(found)) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

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

test("Open WebUI: the options come back whole, with keys that nobody knows", async () => {
  const options = await get(`${API}/options`);
  expect(options).toMatchObject({ sd_model_checkpoint: "kiln-test", samples_format: "png", CLIP_stop_at_last_layers: 1 });
  const changed = { ...options, an_extension_key: { deep: [1, null] }, samples_format: null, CLIP_stop_at_last_layers: 2 };
  expect(await post(`${API}/options`, changed)).toMatchObject({ status: 200, json: null });
  const after = await get(`${API}/options`);
  expect(after).toMatchObject({ an_extension_key: { deep: [1, null] }, samples_format: "png", CLIP_stop_at_last_layers: 2 });
  expect(Object.keys(after).sort()).toEqual(Object.keys(changed).sort());
  const [model] = (await get(`${API}/sd-models`)) as unknown as object[];
  expect(model).toEqual({
    title: "kiln-test",
    model_name: "kiln-test",
    hash: null,
    sha256: null,
    filename: "kiln-test",
    config: null,
  });
  const { info } = await drawn("/txt2img", { prompt: "x", steps: 1 });
  expect(info.clip_skip).toBe(2);
  expect(info.infotexts[0]).toContain("Clip skip: 2");
  await post(`${API}/options`, { CLIP_stop_at_last_layers: 1 });
  expect(await post(`${API}/options`, { sd_model_checkpoint: "nothing" })).toMatchObject({
    status: 422,
    json: { detail: "model 'nothing' not found" },
  });
  expect(await post(`${API}/options`, { filler: "x".repeat(300_000) })).toMatchObject({ status: 413 });
  for (const wrong of [[], "x", null, 3]) expect((await post(`${API}/options`, wrong)).status).toBe(422);
  for (const wrong of [{ samples_format: 1 }, { CLIP_stop_at_last_layers: "many" }, { sd_model_checkpoint: {} }]) {
    expect((await post(`${API}/options`, wrong)).status).toBe(422);
  }
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
      an_unknown: 1,
    },
  });
  expect((await sizeOf(images[0])).format).toBe("jpeg");
  expect(info.clip_skip).toBe(3);
  expect(await lastRequest()).toMatchObject({ clip_skip: 2, noise: "torch-cpu" });
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
  expect(masked.info.comments).toContain("inpaint_full_res");
  const stored = String((await lastRequest()).mask).slice("upload:".length);
  const { bytes } = await server.context.pictures.open(stored, LOCAL);
  const { width, height } = await sharp(bytes).metadata();
  expect({ width, height }).toEqual({ width: 64, height: 64 });
  expect((await sharp(bytes).stats()).channels[0]?.max).toBe(0);
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

test("hires fix", async () => {
  const body = { prompt: "x", width: 128, height: 64, steps: 2, enable_hr: true };
  await drawn("/txt2img", {
    ...body,
    hr_scale: 1.5,
    hr_upscaler: "Latent (bicubic)",
    hr_second_pass_steps: 7,
    denoising_strength: 0.5,
  });
  expect((await lastRequest()).hires).toEqual({ scale: 1.5, upscaler: "latent", strength: 0.5, steps: 7 });
  const { info } = await drawn("/txt2img", {
    ...body,
    hr_resize_x: 256,
    hr_resize_y: 128,
    hr_upscaler: "R-ESRGAN 4x+",
    hr_prompt: "y",
  });
  expect((await lastRequest()).hires).toMatchObject({ scale: 2, upscaler: "lanczos" });
  expect(info.comments).toContain("R-ESRGAN 4x+ is not installed");
  expect(info.comments).toContain("hr_prompt");
  const wrong = await post(`${API}/txt2img`, { ...body, hr_resize_x: 256, hr_resize_y: 256 });
  expect(wrong).toMatchObject({ status: 422, json: { detail: [{ loc: ["body", "enable_hr"] }] } });
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

test("progress while a picture is made, and none when there is nothing", async () => {
  const asked = drawn("/txt2img", { prompt: "slow", steps: 100, n_iter: 2, force_task_id: "task(mine)" });
  const busy = await until(
    () => get(`${API}/progress?skip_current_image=true`),
    ({ progress }) => Number(progress) > 0.1,
  );
  expect(busy).toMatchObject({
    current_image: null,
    textinfo: null,
    state: { job: "task(mine)", job_count: 2, skipped: false, interrupted: false },
  });
  expect((busy.state as { sampling_steps: number }).sampling_steps).toBe(100);
  const task = await post("/internal/progress", { id_task: "task(mine)", id_live_preview: -1, live_preview: true });
  expect(task.json).toMatchObject({ active: true, queued: false, completed: false, live_preview: null, id_live_preview: -1 });
  expect(await get("/internal/pending-tasks")).toEqual({ size: 1, tasks: ["task(mine)"] });
  await asked;
  const idle = await get(`${API}/progress`);
  expect(idle).toMatchObject({
    progress: 0,
    eta_relative: 0,
    current_image: null,
    state: { job: "", job_count: 0, job_no: 0, sampling_step: 0 },
  });
  expect((await post("/internal/progress", { id_task: "task(mine)" })).json).toMatchObject({
    active: false,
    queued: false,
    completed: true,
  });
  expect((await post("/internal/progress", { id_task: "x" })).json).toMatchObject({
    active: false,
    queued: false,
    completed: false,
  });
});

test("interrupt ends a call, which answers with what is there; skip ends one batch of it", async () => {
  const isBusy = ({ progress }: Record<string, unknown>) => Number(progress) > 0.02;
  const asked = drawn("/txt2img", { prompt: "to be interrupted", steps: 150, seed: 9 });
  await until(() => get(`${API}/progress`), isBusy);
  expect(await post(`${API}/interrupt`)).toMatchObject({ status: 200, json: {} });
  const { images, info } = await asked;
  expect({ images, seed: info.seed, infotexts: info.infotexts }).toEqual({ images: [], seed: 9, infotexts: [] });
  const two = drawn("/txt2img", { prompt: "to be skipped", steps: 60, n_iter: 2, seed: 20 });
  await until(() => get(`${API}/progress`), isBusy);
  expect(await post(`${API}/skip`)).toMatchObject({ status: 200, json: null });
  expect((await two).info.all_seeds).toEqual([21]);
  expect(await post(`${API}/interrupt`)).toMatchObject({ status: 200, json: {} });
  expect(await post(`${API}/skip`)).toMatchObject({ status: 200, json: null });
});

test("png-info reads what was drawn", async () => {
  const { images } = await drawn("/txt2img", {
    prompt: "a fox, running",
    negative_prompt: "rain",
    sampler_name: "Euler a",
    seed: 42,
    steps: 2,
  });
  const { json } = await post(`${API}/png-info`, { image: `data:image/png;base64,${images[0]}` });
  const { info, items, parameters } = json as { info: string; items: object; parameters: object };
  expect(info).toMatch(/^a fox, running\nNegative prompt: rain\nSteps: 2, Sampler: Euler a, Schedule type: Automatic/);
  expect(items).toEqual({ parameters: info });
  expect(parameters).toMatchObject({
    Prompt: "a fox, running",
    "Negative prompt": "rain",
    Steps: "2",
    Seed: "42",
    "Size-1": "256",
    "Size-2": "256",
  });
  expect((await post(`${API}/png-info`, { image: await flat(8, 8) })).json).toEqual({ info: "", items: {}, parameters: {} });
});

test("enlarging", async () => {
  const image = await flat(40, 20);
  const single = async (fields: object) => {
    const { status, json } = await post(`${API}/extra-single-image`, { image, ...fields });
    expect(status).toBe(200);
    const { image: made, html_info } = json as { image: string; html_info: string };
    return { ...(await sizeOf(made)), html_info };
  };
  expect(await single({ upscaler_1: "Lanczos", upscaling_resize: 4 })).toEqual({
    width: 160,
    height: 80,
    format: "png",
    html_info: "",
  });
  expect(await single({ resize_mode: 1, upscaling_resize_w: 50, upscaling_resize_h: 50 })).toMatchObject({
    width: 50,
    height: 50,
  });
  expect(await single({ resize_mode: 1, upscaling_resize_w: 50, upscaling_resize_h: 50, upscaling_crop: false })).toMatchObject({
    width: 50,
    height: 25,
  });
  const { html_info } = await single({ upscaler_1: "ESRGAN_4x", gfpgan_visibility: 1 });
  expect(html_info).toContain("Lanczos was used");
  expect(html_info).toContain("No face restoration");
  const batch = await post(`${API}/extra-batch-images`, { imageList: [{ data: image, name: "a.png" }], upscaling_resize: 2 });
  expect((batch.json as { images: string[] }).images).toHaveLength(1);
  expect((await post(`${API}/extra-single-image`, { image: await flat(3000, 3000), upscaling_resize: 8 })).status).toBe(422);
});

test("the other lists, as AIYA, sd-webui-distributed and the ControlNet clients read them", async () => {
  for (const list of ["hypernetworks", "face-restorers", "realesrgan-models", "prompt-styles", "loras", "sd-modules"]) {
    expect(await get(`${API}/${list}`)).toEqual([]);
  }
  expect(await get(`${API}/embeddings`)).toEqual({ loaded: {}, skipped: {} });
  expect(await get(`${API}/scripts`)).toEqual({ txt2img: ["controlnet", "controlnet m2m"], img2img: ["controlnet"] });
  expect(await get(`${API}/script-info`)).toEqual([
    { name: "controlnet", is_alwayson: true, is_img2img: false, args: [] },
    { name: "controlnet", is_alwayson: true, is_img2img: true, args: [] },
  ]);
  expect(await get(`${API}/cmd-flags`)).toMatchObject({ api: true, listen: false });
  expect(await get(`${API}/memory`)).toMatchObject({
    ram: { total: expect.any(Number), free: expect.any(Number) },
    cuda: { error: "unavailable" },
  });
  const [sampler] = (await get(`${API}/samplers`)) as unknown as object[];
  expect(sampler).toEqual({ name: "DPM++ 2M", aliases: ["k_dpmpp_2m"], options: { scheduler: "karras" } });
  const schedulers = (await get(`${API}/schedulers`)) as unknown as { name: string }[];
  expect(schedulers.find(({ name }) => name === "karras")).toEqual({
    name: "karras",
    label: "Karras",
    aliases: null,
    default_rho: 7,
    need_inner_model: false,
  });
  expect(await get("/controlnet/version")).toEqual({ version: 3 });
  expect(await get("/controlnet/model_list")).toEqual({ model_list: [] });
  expect(await get("/controlnet/module_list?alias_names=1")).toMatchObject({ module_list: ["none"] });
  expect(await get("/controlnet/control_types")).toMatchObject({ control_types: { All: { default_option: "none" } } });
  const { components } = (await get("/config")) as { components: { props: { elem_id: string; choices: string[] } }[] };
  expect(components.find(({ props }) => props.elem_id === "setting_sd_lora")?.props.choices).toContain("");
  for (const action of ["refresh-checkpoints", "refresh-loras"])
    expect(await post(`${API}/${action}`)).toMatchObject({ status: 200, json: null });
  expect(await post(`${API}/interrogate`, { image: "", model: "clip" })).toMatchObject({
    status: 501,
    json: { detail: expect.any(String) },
  });
  const image = await flat(32, 16);
  const detected = await post("/controlnet/detect", { controlnet_module: "none", controlnet_images: [image] });
  expect(await sizeOf((detected.json as { images: string[] }).images[0])).toMatchObject({ width: 32, height: 16 });
  expect(await post("/controlnet/detect", { controlnet_module: "openpose", controlnet_images: [image] })).toMatchObject({
    status: 422,
  });
});

const WRONG = [[], {}, [[]], { a: [] }, 1e308, -7, true, "\u0000", "no such thing"];
const FIELDS: Record<string, string> = {
  txt2img:
    "prompt negative_prompt styles seed subseed sampler_name sampler_index scheduler batch_size n_iter steps cfg_scale width height restore_faces tiling eta denoising_strength s_churn s_tmin s_tmax s_noise override_settings refiner_checkpoint refiner_switch_at script_name script_args send_images save_images alwayson_scripts controlnet_units force_task_id enable_hr hr_scale hr_upscaler hr_second_pass_steps hr_resize_x hr_resize_y hr_prompt",
  img2img:
    "init_images resize_mode mask inpainting_fill inpaint_full_res inpainting_mask_invert mask_blur include_init_images denoising_strength",
  "extra-single-image": "image resize_mode upscaling_resize upscaling_resize_w upscaling_crop upscaler_1 gfpgan_visibility",
  "extra-batch-images": "imageList upscaling_resize",
  "png-info": "image",
  interrogate: "image model",
};

test.each(Object.keys(FIELDS))("wrong types in every field of %s are 4xx with a detail, or harmless", async (path) => {
  const image = await flat(16, 16);
  const whole = {
    init_images: [image],
    image,
    imageList: [{ data: image, name: "x" }],
    prompt: "x",
    steps: 1,
    width: 64,
    height: 64,
  };
  for (const field of FIELDS[path]?.split(" ") ?? []) {
    for (const wrong of WRONG) {
      const { status, json } = await post(`${API}/${path}`, { ...whole, [field]: wrong });
      const fine = status === 200 || (status >= 400 && status < 500) || (path === "interrogate" && status === 501);
      expect({ path, field, wrong, status, fine }).toMatchObject({ fine: true });
      if (status !== 200) expect(json).toHaveProperty("detail");
    }
  }
  for (const body of ["{", "[]", "null", "1", ""]) {
    const response = await fetch(`${server.url}${API}/${path}`, {
      method: "POST",
      body,
      headers: { "content-type": "application/json" },
    });
    expect(await response.json()).toHaveProperty("detail");
    expect(response.status === 422 || path === "interrogate").toBe(true);
  }
});

test("a failure has its reason in the detail", async () => {
  expect(await post(`${API}/txt2img`, { prompt: "[fail]" })).toMatchObject({
    status: 500,
    json: { detail: expect.stringContaining("NaN") },
  });
  expect(await post(`${API}/txt2img`, { prompt: "explicit porn" })).toMatchObject({
    status: 400,
    json: { detail: expect.any(String) },
  });
});

test("Basic and Bearer take the same key, each caller has options and progress of their own", async () => {
  // The last test of this server: from here on it asks for keys.
  const { key: one } = await server.context.keys.create({ name: "one", role: "admin" });
  const { key: two } = await server.context.keys.create({ name: "two" });
  const basic = { authorization: `Basic ${Buffer.from(`user:${one}`).toString("base64")}` };
  const bearer = { authorization: `Bearer ${two}` };
  const refused = await server.call("GET", `${API}/cmd-flags`);
  expect(refused).toMatchObject({ status: 401, json: { detail: expect.any(String) } });
  expect(refused.headers.get("www-authenticate")).toMatch(/^Basic/);
  expect((await server.call("GET", `${API}/cmd-flags`, undefined, basic)).status).toBe(200);
  await server.call("POST", `${API}/options`, { samples_format: "webp" }, basic);
  expect((await server.call("GET", `${API}/options`, undefined, basic)).json).toMatchObject({ samples_format: "webp" });
  expect((await server.call("GET", `${API}/options`, undefined, bearer)).json).toMatchObject({ samples_format: "png" });
  const asked = server.call("POST", `${API}/txt2img`, { prompt: "mine", steps: 100 }, basic);
  const own = async () => (await server.call("GET", `${API}/progress`, undefined, basic)).json as { progress: number };
  await until(own, ({ progress }) => progress > 0);
  expect((await server.call("GET", `${API}/progress`, undefined, bearer)).json).toMatchObject({
    progress: 0,
    state: { job_count: 0 },
  });
  await server.call("POST", `${API}/interrupt`, {}, bearer);
  expect(((await asked).json as { images: string[] }).images).toHaveLength(1);
  expect((await server.call("POST", `${API}/unload-checkpoint`, {}, bearer)).status).toBe(403);
});

const LOCAL = {
  owner: "local",
  role: "admin" as const,
  ratePerMinute: undefined,
  quotaPicturesPerDay: undefined,
  contentCeiling: undefined,
};
