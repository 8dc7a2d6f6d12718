/** What a field holds; each kind has values that it cannot. */
export type Kind = "string" | "whole" | "number" | "flag" | "choice" | "list" | "object" | "base64" | "file" | "any";

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
export const isProblem = (body: unknown) => has(body, "type", "title", "status", "detail", "code");
/** Django REST framework: a map of fields to messages, `{detail}` or `{error}`. */
export const isMap = (body: unknown) => typeof body === "object" && body !== null && Object.keys(body).length > 0;

export const INSTANT: FuzzRoute = {
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

export const QUEUE: FuzzRoute = {
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
    priority: "any",
  },
  error: isDetail,
};

export const DEPTH: FuzzRoute = {
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
export const POSE: FuzzRoute = {
  listener: "pose",
  method: "POST",
  path: "/generate",
  encoding: "form",
  valid: { prompt: "x", width: 64, height: 64, num_inference_steps: 1 },
  fields: { ...POSE_FIELDS, pose: "file" },
  error: isDetail,
};

export const OPENAI: FuzzRoute = {
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

export const A1111: FuzzRoute = {
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
    subseed_strength: "number",
    seed_resize_from_w: "whole",
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
    hr_prompt: "string",
    hr_sampler_name: "string",
    hr_checkpoint_name: "string",
    hr_cfg: "number",
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
