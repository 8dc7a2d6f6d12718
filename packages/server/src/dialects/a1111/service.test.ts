import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../../testing/start-test-server.ts";
import { A1111Calls, API, flat, sizeOf, until } from "./testing.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ KILN_TEST_ENGINE_STEP_MS: "5" });
});
afterAll(async () => {
  await server.close();
});
const { get, post, drawn } = new A1111Calls(() => server);

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
  const asked = drawn("/txt2img", { prompt: "[slow] to be interrupted", steps: 150, seed: 9 });
  await until(() => get(`${API}/progress`), isBusy);
  expect(await post(`${API}/interrupt`)).toMatchObject({ status: 200, json: {} });
  const { images, info } = await asked;
  expect({ images, seed: info.seed, infotexts: info.infotexts }).toEqual({ images: [], seed: 9, infotexts: [] });
  const two = drawn("/txt2img", { prompt: "[slow] to be skipped", steps: 5, n_iter: 2, seed: 20, subseed: 30 });
  await until(() => get(`${API}/progress`), isBusy);
  expect(await post(`${API}/skip`)).toMatchObject({ status: 200, json: null });
  expect((await two).info).toMatchObject({ all_seeds: [21], all_subseeds: [31] });
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

test.each(["png", "jpeg", "webp"])("png-info reads the parameters of a %s", async (format) => {
  const words = { prompt: "a fox – 狐, running", negative_prompt: "rain", seed: 42, steps: 2 };
  const job = (await post("/v1/jobs", { ...words, output: { format } })).json as { id: string };
  await until(
    () => get(`/v1/jobs/${job.id}`),
    ({ status }) => status === "completed",
  );
  const file = Buffer.from(await (await fetch(`${server.url}/v1/jobs/${job.id}/result`)).arrayBuffer());
  expect(await sizeOf(file.toString("base64"))).toMatchObject({ format });
  const { json } = await post(`${API}/png-info`, { image: file.toString("base64") });
  const { info, parameters } = json as { info: string; parameters: object };
  expect(info).toMatch(/^a fox – 狐, running\nNegative prompt: rain\nSteps: 2, /);
  expect(parameters).toMatchObject({ Seed: "42", Steps: "2" });
  // Where A1111 and its tools look: Exif's user comment, as UNICODE in the byte order of a big-endian block.
  if (format !== "png") expect(file.includes(Buffer.from("UNICODE\0\0a\0 \0f", "latin1"))).toBe(true);

  const uploaded = await fetch(`${server.url}/v1/uploads`, {
    method: "POST",
    headers: { "content-type": `image/${format}` },
    body: file,
  });
  expect(await uploaded.json()).toMatchObject({ parameters: info, request: { ...words, seed: "42", model: "kiln-test" } });
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
  // Auto-Photoshop's words: it reads the picture all the same.
  expect(await single({ resize_mode: 0, show_extras_results: 0, upscaling_resize: 2 })).toMatchObject({ width: 80 });
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
  for (const [route, field, body] of [
    ["extra-single-image", "image", { image: "x" }],
    ["extra-batch-images", "imageList", { imageList: [{ data: "x" }] }],
    ["png-info", "image", { image: "" }],
  ] as const) {
    expect(await post(`${API}/${route}`, body)).toMatchObject({ status: 422, json: { detail: [{ loc: ["body", field] }] } });
  }
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
  expect(await get(`${API}/cmd-flags`)).toMatchObject({ api: true, api_server_stop: false, listen: false });
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
  // As A1111 without --api-server-stop, which sd-webui-distributed takes for a server that it cannot restart.
  for (const action of ["server-restart", "server-kill", "server-stop"])
    expect(await post(`${API}/${action}`)).toMatchObject({ status: 404, json: { detail: "Not Found" } });
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
  const asked = server.call("POST", `${API}/txt2img`, { prompt: "[slow] mine", steps: 5 }, basic);
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
