import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../../testing/start-test-server.ts";
import { A1111Calls, API, flat } from "./testing.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ KILN_TEST_ENGINE_STEP_MS: "5" });
});
afterAll(async () => {
  await server.close();
});
const { post } = new A1111Calls(() => server);

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
