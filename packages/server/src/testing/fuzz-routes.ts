/** What a field holds; each kind has values that it cannot. */
export type Kind = "string" | "whole" | "number" | "flag" | "choice" | "list" | "object" | "base64" | "file";

export interface FuzzRoute {
  /** A name of KILN_LISTEN, or `common` for what every listener has. */
  listener: string;
  method: "POST" | "PUT" | "PATCH" | "DELETE" | "GET";
  path: string;
  encoding: "json" | "form" | "query";
  /** A request that is in order. */
  valid: Record<string, unknown>;
  fields: Record<string, Kind>;
  /** Wrong types are ignored or guessed at in places, as the service that Kiln stands in for does. */
  lenient?: boolean;
  error: (body: unknown) => boolean;
}

const has = (body: unknown, ...names: string[]): body is Record<string, unknown> =>
  typeof body === "object" && body !== null && names.every((name) => Object.hasOwn(body, name));

const isDetail = (body: unknown) => has(body, "detail");
const isInstant = (body: unknown) => has(body, "success", "error", "detail") && body.success === false;
const isOpenAi = (body: unknown) => has(body, "error") && has(body.error, "message", "type", "code", "param");
const isProblem = (body: unknown) => has(body, "type", "title", "status", "detail", "code");
/** Django REST framework: a map of fields to messages, `{detail}` or `{error}`. */
const isMap = (body: unknown) => typeof body === "object" && body !== null && Object.keys(body).length > 0;

const INSTANT: FuzzRoute = {
  listener: "instant",
  method: "POST",
  path: "/generate",
  encoding: "json",
  valid: { prompt: "x", width: 64, height: 64, steps: 1 },
  fields: {
    prompt: "string",
    negative_prompt: "string",
    width: "whole",
    height: "whole",
    num_inference_steps: "whole",
    steps: "whole",
    guidance_scale: "number",
    cfg_scale: "number",
    use_refiner: "flag",
    use_face_restoration: "flag",
    face_restoration_weight: "number",
    hires_fix: "flag",
    use_hires_fix: "flag",
    hires_fix_simple: "flag",
    hires_scale: "number",
    use_realesrgan: "flag",
    upscale: "number",
    seed: "whole",
  },
  error: isInstant,
};

const QUEUE: FuzzRoute = {
  listener: "queue",
  method: "POST",
  path: "/generate",
  encoding: "json",
  valid: { girl_id: "a", user_id: 1, prompt: "x" },
  fields: {
    girl_id: "string",
    subject_id: "string",
    user_id: "whole",
    prompt: "string",
    negative_prompt: "string",
    context: "string",
    affection_level: "whole",
    nsfw_level: "whole",
    num_inference_steps: "whole",
    guidance_scale: "number",
    high_quality: "flag",
    priority: "string",
  },
  error: isDetail,
};

const DEPTH: FuzzRoute = {
  listener: "depth",
  method: "POST",
  path: "/generate",
  encoding: "json",
  valid: { prompt: "x", steps: 1 },
  fields: {
    prompt: "string",
    negative_prompt: "string",
    depth_map_b64: "base64",
    mock_depth: "flag",
    model: "choice",
    era: "string",
    loras: "list",
    steps: "whole",
    cfg: "number",
    seed: "whole",
    lora_strength: "number",
    controlnet_strength: "number",
    control_guidance_start: "number",
    control_guidance_end: "number",
    scheduler: "choice",
    use_karras_sigmas: "flag",
    width: "whole",
    height: "whole",
    use_jpeg: "flag",
  },
  error: isDetail,
};

const POSE_FIELDS: Record<string, Kind> = {
  width: "whole",
  height: "whole",
  num_inference_steps: "whole",
  guidance_scale: "number",
  seed: "whole",
};
const POSE: FuzzRoute = {
  listener: "pose",
  method: "POST",
  path: "/generate",
  encoding: "form",
  valid: { prompt: "x", width: 64, height: 64, num_inference_steps: 1 },
  fields: { ...POSE_FIELDS, pose: "file" },
  error: isDetail,
};

const OPENAI: FuzzRoute = {
  listener: "common",
  method: "POST",
  path: "/v1/images/generations",
  encoding: "json",
  valid: { prompt: "x", size: "64x64", response_format: "b64_json" },
  fields: {
    prompt: "string",
    model: "string",
    n: "whole",
    size: "choice",
    quality: "choice",
    response_format: "choice",
    output_format: "choice",
    output_compression: "whole",
    background: "choice",
    user: "string",
    stream: "flag",
    partial_images: "whole",
  },
  error: isOpenAi,
};

const A1111: FuzzRoute = {
  listener: "common",
  method: "POST",
  path: "/sdapi/v1/txt2img",
  encoding: "json",
  valid: { prompt: "x", width: 64, height: 64, steps: 1 },
  fields: {
    prompt: "string",
    negative_prompt: "string",
    styles: "list",
    seed: "whole",
    subseed: "whole",
    sampler_name: "string",
    sampler_index: "string",
    scheduler: "string",
    batch_size: "whole",
    n_iter: "whole",
    steps: "whole",
    cfg_scale: "number",
    width: "whole",
    height: "whole",
    restore_faces: "flag",
    tiling: "flag",
    eta: "number",
    denoising_strength: "number",
    enable_hr: "flag",
    hr_scale: "number",
    hr_upscaler: "string",
    hr_second_pass_steps: "whole",
    clip_skip: "whole",
    override_settings: "object",
    alwayson_scripts: "object",
    script_name: "string",
    script_args: "list",
    save_images: "flag",
    send_images: "flag",
  },
  lenient: true,
  error: isDetail,
};

/** Every route that takes something, with what it takes. Faces that are not there are left out by the test. */
export const FUZZ_ROUTES: readonly FuzzRoute[] = [
  INSTANT,
  { ...INSTANT, path: "/txt2img" },
  QUEUE,
  DEPTH,
  { ...DEPTH, path: "/preload", encoding: "query", valid: { model_name: "base" }, fields: { model_name: "string" } },
  { ...DEPTH, path: "/unload", encoding: "query", valid: { model_key: "base" }, fields: { model_key: "string" } },
  POSE,
  { ...POSE, path: "/generate/batch?max_batch_size=many", encoding: "json", valid: {}, fields: {}, lenient: true },
  {
    ...POSE,
    path: "/generate/batch",
    encoding: "json",
    valid: { "": [{ prompt: "x", width: 64, height: 64, num_inference_steps: 1 }] },
    fields: {},
    lenient: true,
  },
  OPENAI,
  { ...OPENAI, path: "/images/generations" },
  {
    ...OPENAI,
    path: "/v1/images/edits",
    encoding: "form",
    fields: { n: "whole", size: "choice", quality: "choice", output_format: "choice", image: "file", mask: "file" },
  },
  {
    ...OPENAI,
    path: "/v1/images/variations",
    encoding: "form",
    valid: { size: "64x64" },
    fields: { n: "whole", size: "choice", response_format: "choice", image: "file" },
  },
  A1111,
  {
    ...A1111,
    path: "/sdapi/v1/img2img",
    fields: {
      ...A1111.fields,
      init_images: "list",
      mask: "base64",
      resize_mode: "whole",
      mask_blur: "number",
      inpainting_fill: "whole",
    },
  },
  {
    ...A1111,
    path: "/sdapi/v1/extra-single-image",
    valid: { image: "" },
    fields: {
      image: "base64",
      upscaling_resize: "number",
      upscaler_1: "string",
      resize_mode: "whole",
      upscaling_resize_w: "whole",
    },
  },
  {
    ...A1111,
    path: "/sdapi/v1/extra-batch-images",
    valid: { imageList: [] },
    fields: { imageList: "list", upscaling_resize: "number" },
  },
  { ...A1111, path: "/sdapi/v1/png-info", valid: { image: "" }, fields: { image: "base64" } },
  { ...A1111, path: "/sdapi/v1/interrogate", valid: { image: "" }, fields: { image: "base64", model: "string" } },
  {
    ...A1111,
    path: "/sdapi/v1/options",
    valid: {},
    fields: { sd_model_checkpoint: "string", CLIP_stop_at_last_layers: "whole", samples_format: "string", sd_vae: "string" },
  },
  {
    ...A1111,
    path: "/controlnet/detect",
    valid: {},
    fields: { controlnet_module: "string", controlnet_input_images: "list", controlnet_processor_res: "whole" },
  },
  { ...A1111, method: "GET", path: "/sdapi/v1/progress", encoding: "query", valid: {}, fields: { skip_current_image: "flag" } },
  {
    listener: "views",
    method: "POST",
    path: "/api/auth/login",
    encoding: "json",
    valid: { email: "a@b.example", password: "x" },
    fields: { email: "string", password: "string" },
    error: isMap,
  },
  {
    listener: "views",
    method: "POST",
    path: "/api/auth/register",
    encoding: "json",
    valid: { email: "a@b.example" },
    fields: { email: "string", password: "string" },
    error: isMap,
  },
  {
    listener: "views",
    method: "POST",
    path: "/api/jobs/",
    encoding: "form",
    valid: { region: "gluteal", message: "x" },
    fields: { region: "choice", scenario: "choice", original_image: "file" },
    error: isMap,
  },
  {
    listener: "views",
    method: "GET",
    path: "/api/jobs/",
    encoding: "query",
    valid: {},
    fields: { status: "choice", favorites: "flag", date_from: "string", date_to: "string", search: "string", page: "whole" },
    lenient: true,
    error: isMap,
  },
  {
    listener: "views",
    method: "POST",
    path: "/api/jobs/1/select/",
    encoding: "json",
    valid: { selection: "simulation1" },
    fields: { selection: "choice" },
    error: isMap,
  },
  {
    listener: "common",
    method: "POST",
    path: "/v1/jobs",
    encoding: "json",
    valid: { prompt: "x", width: 64, height: 64, steps: 1 },
    fields: {
      prompt: "string",
      negative_prompt: "string",
      prompt_2: "string",
      prompt_syntax: "choice",
      model: "string",
      width: "whole",
      height: "whole",
      steps: "whole",
      guidance_scale: "number",
      guidance_rescale: "number",
      scheduler: "string",
      scheduler_config: "object",
      a1111: "object",
      eta: "number",
      seed: "whole",
      noise: "choice",
      n: "whole",
      clip_skip: "whole",
      image: "base64",
      strength: "number",
      mask: "base64",
      controls: "list",
      loras: "list",
      refiner: "object",
      hires: "object",
      original_size: "list",
      crop: "list",
      target_size: "list",
      aesthetic_score: "number",
      priority: "choice",
      deadline_seconds: "number",
      webhook: "object",
      output: "object",
      preview: "flag",
      content_ceiling: "whole",
      subject_id: "string",
      user: "string",
      tags: "list",
    },
    error: isProblem,
  },
];

/** Routes with an id in their path, and what stands for it in none of them. */
export const FUZZ_PATHS: readonly { listener: string; method: string; path: string }[] = [
  { listener: "queue", method: "GET", path: "/status/{}" },
  { listener: "views", method: "GET", path: "/api/jobs/{}/" },
  { listener: "views", method: "PATCH", path: "/api/jobs/{}/" },
  { listener: "views", method: "DELETE", path: "/api/jobs/{}/" },
  { listener: "views", method: "POST", path: "/api/jobs/{}/favorite/" },
  { listener: "common", method: "GET", path: "/v1/jobs/{}" },
  { listener: "common", method: "DELETE", path: "/v1/jobs/{}" },
  { listener: "common", method: "GET", path: "/v1/images/{}" },
  { listener: "common", method: "GET", path: "/v1/models/{}" },
];
