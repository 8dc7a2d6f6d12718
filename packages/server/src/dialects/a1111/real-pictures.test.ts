import { execFile, execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../../testing/start-test-server.ts";

const places = ["../../../../../../shared/reference/checkpoints", "../../../../diffusion/fixtures/reference/checkpoints"];
const checkpoints = places.map((place) => fileURLToPath(new URL(place, import.meta.url))).find((path) => existsSync(path));

/** A Python that has the package webuiapi: WEBUIAPI_PYTHON, or the machine's own. */
const python = process.env.WEBUIAPI_PYTHON ?? "python3";
const hasClient = (() => {
  try {
    execFileSync(python, ["-c", "import webuiapi"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

describe.skipIf(!checkpoints)("with the small reference checkpoints", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ KILN_ENGINE: "diffusion", MODELS_DIR: checkpoints ?? "", KILN_DEFAULT_MODEL: "tiny-xl" });
  });
  afterAll(async () => {
    await server.close();
  });

  interface Drawn {
    images: string[];
    info: { seed: number; width: number; infotexts: string[]; sampler_name: string };
  }

  const SMALL = {
    prompt: "a (red:1.3) fox",
    width: 64,
    height: 64,
    steps: 3,
    seed: 7,
    sampler_name: "DPM++ 2M Karras",
    cfg_scale: 5,
  };

  async function drawn(fields: object, path = "txt2img"): Promise<Drawn> {
    const { status, json } = await server.call("POST", `/sdapi/v1/${path}`, { ...SMALL, ...fields });
    if (status !== 200) throw new Error(`${path} is answered ${status}: ${JSON.stringify(json)}`);
    const { images, info } = json as { images: string[]; info: string };
    return { images, info: JSON.parse(info) as Drawn["info"] };
  }

  async function pixels(base64: string | undefined): Promise<Buffer> {
    return await sharp(Buffer.from(base64 ?? "", "base64"))
      .removeAlpha()
      .raw()
      .toBuffer();
  }

  async function modelsOf(kind: string): Promise<string[]> {
    const { data } = (await server.call("GET", "/v1/models")).json as { data: { id: string; kind: string }[] };
    return data.filter((model) => model.kind === kind).map(({ id }) => id);
  }

  const gradient = async () => {
    const data = Buffer.from(Array.from({ length: 64 * 64 * 3 }, (_, index) => (Math.floor(index / 3) % 64) * 4));
    return (
      await sharp(data, { raw: { width: 64, height: 64, channels: 3 } })
        .png()
        .toBuffer()
    ).toString("base64");
  };

  test("the same seed makes the same picture, with the noise that is asked for", async () => {
    const first = await drawn({});
    const bytes = Buffer.from(first.images[0] ?? "", "base64");
    expect(await sharp(bytes).metadata()).toMatchObject({ format: "png", width: 64, height: 64 });
    expect(Math.max(...(await sharp(bytes).stats()).channels.map(({ stdev }) => stdev))).toBeGreaterThan(2);
    expect(first.info).toMatchObject({ seed: 7, sampler_name: "DPM++ 2M" });
    expect(first.info.infotexts[0]).toContain(
      "Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 5, Seed: 7, Size: 64x64, Model: tiny-xl",
    );
    const again = await drawn({ sampler_name: "DPM++ 2M", scheduler: "Karras" });
    expect((await pixels(again.images[0])).equals(await pixels(first.images[0]))).toBe(true);
    const nv = await drawn({ override_settings: { randn_source: "NV" } });
    expect((await pixels(nv.images[0])).equals(await pixels(first.images[0]))).toBe(true);
    const cpu = await drawn({ override_settings: { randn_source: "CPU" } });
    expect((await pixels(cpu.images[0])).equals(await pixels(first.images[0]))).toBe(false);
    expect(cpu.info.infotexts[0]).toContain("RNG: CPU");
  });

  test("every sampler of the list draws", async () => {
    const { json } = await server.call("GET", "/sdapi/v1/samplers");
    for (const { name } of json as { name: string }[]) {
      const { images, info } = await drawn({ sampler_name: name, steps: 4 });
      expect({ name, made: images.length, sampler: info.sampler_name }).toEqual({ name, made: 1, sampler: name });
    }
  });

  test("image to image, a mask, and hires fix", async () => {
    const image = await gradient();
    const { images } = await drawn(
      { init_images: [image], denoising_strength: 0.5, sampler_name: "Euler a", steps: 6 },
      "img2img",
    );
    expect((await pixels(images[0])).length).toBe(64 * 64 * 3);
    const half = sharp({ create: { width: 64, height: 32, channels: 3, background: "#fff" } }).extend({
      bottom: 32,
      background: "#000",
    });
    const mask = (await half.png().toBuffer()).toString("base64");
    const masked = await drawn({ init_images: [image], mask, denoising_strength: 1, steps: 6 }, "img2img");
    const [whole, painted] = [await pixels(images[0]), await pixels(masked.images[0])];
    expect(whole.equals(painted)).toBe(false);
    const hires = await drawn({
      enable_hr: true,
      hr_scale: 1.5,
      hr_upscaler: "Latent",
      denoising_strength: 0.6,
      hr_second_pass_steps: 2,
    });
    expect(await sharp(Buffer.from(hires.images[0] ?? "", "base64")).metadata()).toMatchObject({ width: 96, height: 96 });
    expect(hires.info.width).toBe(96);
    const cut = await drawn({ enable_hr: true, hr_resize_x: 96, hr_resize_y: 128, hr_second_pass_steps: 2 });
    expect(await sharp(Buffer.from(cut.images[0] ?? "", "base64")).metadata()).toMatchObject({ width: 96, height: 128 });
  });

  test("a ready-made depth map steers the picture", async () => {
    const { json } = await server.call("GET", "/controlnet/model_list");
    expect((json as { model_list: string[] }).model_list).toContain("tiny-xl-controlnet-depth");
    const { json: types } = await server.call("GET", "/controlnet/control_types");
    expect(types).toMatchObject({
      control_types: { Depth: { default_model: "tiny-xl-controlnet-depth", module_list: ["none"] } },
    });
    const image = await gradient();
    const unit = { enabled: true, module: "none", model: "tiny-xl-controlnet-depth [0a1b2c3d]", image, weight: 1.5 };
    const without = await drawn({});
    const withMap = await drawn({ alwayson_scripts: { ControlNet: { args: [{ ...unit, resize_mode: "Crop and Resize" }] } } });
    expect((await pixels(withMap.images[0])).equals(await pixels(without.images[0]))).toBe(false);
    const sameMap = await drawn({
      alwayson_scripts: { controlnet: { args: [null, { ...unit, image: { image, mask: null }, guidance_end: 1 }] } },
    });
    expect((await pixels(sameMap.images[0])).equals(await pixels(withMap.images[0]))).toBe(true);
    const off = await drawn({ alwayson_scripts: { controlnet: { args: [{ ...unit, enabled: false }] } } });
    expect((await pixels(off.images[0])).equals(await pixels(without.images[0]))).toBe(true);
    for (const wrong of [
      { ...unit, module: "depth_midas" },
      { ...unit, model: "nobody" },
      { ...unit, image: null },
      { ...unit, image: "x" },
      { ...unit, weight: "much" },
    ]) {
      const refused = await server.call("POST", "/sdapi/v1/txt2img", {
        ...SMALL,
        alwayson_scripts: { controlnet: { args: [wrong] } },
      });
      expect(refused).toMatchObject({ status: 422, json: { detail: [{ msg: expect.any(String) }] } });
    }
  });

  test("a unit's control mode is drawn, by number and by name", async () => {
    const unit = { module: "none", model: "tiny-xl-controlnet-depth", image: await gradient() };
    const made = async (control_mode?: number | string) => {
      const { images } = await drawn({ alwayson_scripts: { controlnet: { args: [{ ...unit, control_mode }] } } });
      const { json } = await server.call("GET", "/v1/jobs?limit=1");
      const { jobs } = json as { jobs: { request: { controls: { mode?: string }[] } }[] };
      return { mode: jobs[0]?.request.controls[0]?.mode, picture: (await pixels(images[0])).toString("base64") };
    };
    const [even, prompt, map] = [await made(), await made(1), await made(2)];
    expect([even.mode, prompt.mode, map.mode]).toEqual([undefined, "prompt", "control"]);
    expect(new Set([even.picture, prompt.picture, map.picture]).size).toBe(3);
    expect(await made("Balanced")).toEqual(even);
    expect(await made("My prompt is more important")).toEqual(prompt);
    expect(await made("ControlNet is more important")).toEqual(map);
  });

  test("LoRA tags are applied with their weight, and the text of the picture has them", async () => {
    const [lora] = (await modelsOf("lora")).filter((id) => id === "kohya");
    expect((await server.call("GET", "/sdapi/v1/loras")).json).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: "kohya", alias: expect.any(String), path: expect.any(String) })]),
    );
    const without = await drawn({});
    const tagged = await drawn({ prompt: `a (red:1.3) fox <lora:${lora}:2>` });
    const none = await drawn({ prompt: `a (red:1.3) fox<lora:${lora}:0>` });
    expect((await pixels(tagged.images[0])).equals(await pixels(without.images[0]))).toBe(false);
    expect((await pixels(none.images[0])).equals(await pixels(without.images[0]))).toBe(true);
    const { json } = await server.call("POST", "/sdapi/v1/png-info", { image: tagged.images[0] });
    expect((json as { parameters: Record<string, string> }).parameters).toMatchObject({
      Prompt: "a (red:1.3) fox <lora:kohya:2>",
      Sampler: "DPM++ 2M",
    });
  });

  test("the second pass follows its own words, LoRAs and checkpoint", async () => {
    const hires = { enable_hr: true, hr_scale: 1.5, hr_upscaler: "None", denoising_strength: 0.7 };
    const plain = await pixels((await drawn(hires)).images[0]);
    for (const own of [
      { hr_prompt: "a green boat" },
      { hr_prompt: "a (red:1.3) fox <lora:kohya:2>" },
      { hr_sampler_name: "Euler a" },
      { hr_cfg: 1.5 },
    ]) {
      expect((await pixels((await drawn({ ...hires, ...own })).images[0])).equals(plain)).toBe(false);
    }
    const same = await drawn({ ...hires, hr_checkpoint_name: "tiny-xl", hr_prompt: SMALL.prompt });
    expect((await pixels(same.images[0])).equals(plain)).toBe(true);
    const other = { ...SMALL, ...hires, hr_checkpoint_name: "tiny-sd15" };
    expect(await server.call("POST", "/sdapi/v1/txt2img", other)).toMatchObject({ status: 422 });
  });

  test("a variation seed changes the picture as much as it is told to", async () => {
    const plain = await pixels((await drawn({})).images[0]);
    const varied = await pixels((await drawn({ subseed: 3, subseed_strength: 0.2 })).images[0]);
    const whole = await pixels((await drawn({ subseed: 3, subseed_strength: 1 })).images[0]);
    expect(varied.equals(plain)).toBe(false);
    expect(whole.equals(await pixels((await drawn({ seed: 3 })).images[0]))).toBe(true);
  });

  test("only the masked is painted, and the rest of the picture comes back to the pixel", async () => {
    const side = 96;
    const data = Buffer.from(Array.from({ length: side * side * 3 }, (_, i) => (Math.floor(i / 3) % side) * 2));
    const image = await sharp(data, { raw: { width: side, height: side, channels: 3 } })
      .png()
      .toBuffer();
    const white = { create: { width: 24, height: 24, channels: 3 as const, background: "#fff" } };
    const mask = await sharp({ create: { width: side, height: side, channels: 3, background: "#000" } })
      .composite([{ input: await sharp(white).png().toBuffer(), left: 40, top: 48 }])
      .png()
      .toBuffer();
    const body = { init_images: [image.toString("base64")], mask: mask.toString("base64"), mask_blur: 0 };
    const { images } = await drawn({ ...body, inpaint_full_res_padding: 8 }, "img2img");
    const found = await pixels(images[0]);
    expect(found).toHaveLength(side * side * 3);
    const changed = (within: boolean) =>
      [...found].filter((value, i) => {
        const [x, y] = [Math.floor(i / 3) % side, Math.floor(i / 3 / side)];
        const isInside = x >= 40 && x < 64 && y >= 48 && y < 72;
        return isInside === within && value !== data[i];
      }).length;
    expect(changed(false)).toBe(0);
    expect(changed(true)).toBeGreaterThan(800);
  });

  test("another checkpoint for one request", async () => {
    const { json } = await server.call("GET", "/sdapi/v1/sd-models");
    const titles = (json as { title: string }[]).map(({ title }) => title);
    expect(titles).toEqual(expect.arrayContaining(["tiny-xl", "tiny-sd15"]));
    const other = await drawn({
      override_settings: { sd_model_checkpoint: "tiny-sd15.safetensors [0123456789]", CLIP_stop_at_last_layers: 2 },
    });
    expect(other.info.infotexts[0]).toContain("Model: tiny-sd15, Clip skip: 2");
    expect((await drawn({})).info.infotexts[0]).toContain("Model: tiny-xl,");
  });

  test("the picture shows while it is made", async () => {
    let ended = false;
    const asked = drawn({ width: 256, height: 256, steps: 100 }).finally(() => {
      ended = true;
    });
    let shown: string | null = null;
    while (shown === null && !ended) {
      const { json } = await server.call("GET", "/sdapi/v1/progress");
      shown = (json as { current_image: string | null }).current_image;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await server.call("POST", "/sdapi/v1/interrupt", {});
    await asked;
    expect((await sharp(Buffer.from(shown ?? "", "base64")).metadata()).format).toBe("png");
  });

  test.skipIf(!hasClient)("the Python client webuiapi works as it is", async () => {
    const script = fileURLToPath(new URL("./webuiapi-client.py", import.meta.url));
    const port = new URL(server.url).port;
    // Not execFileSync: the server answers from this process.
    const { stdout } = await promisify(execFile)(python, [script, port], { timeout: 100_000 });
    expect(stdout.trim().split("\n").at(-1)).toBe("all is well");
  });
});
