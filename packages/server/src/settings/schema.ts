import { z } from "zod";
import { deviceSchema, devicesSchema } from "./devices.ts";
import { listenSchema } from "./listen.ts";
import { lorasSchema } from "./loras.ts";
import { memorySchema } from "./memory.ts";

/** One setting: what it may be, what it is when nobody says, and why one would change it. */
export interface Setting<T> {
  schema: z.ZodType<T, string | undefined>;
  default: string | undefined;
  about: string;
  /** Never printed. */
  secret: boolean;
}

function setting<T>(schema: z.ZodType<T, string>, fallback: string, about: string): Setting<T> {
  return { schema: schema.prefault(fallback), default: fallback, about, secret: false };
}

function optional<T>(schema: z.ZodType<T, string>, about: string): Setting<T | undefined> {
  return { schema: schema.optional(), default: undefined, about, secret: false };
}

function secret(about: string): Setting<string | undefined> {
  return { schema: z.string().min(1).optional(), default: undefined, about, secret: true };
}

const text = z.string().min(1);
const flag = z.enum(["true", "false", "1", "0", "yes", "no"]).transform((word) => ["true", "1", "yes"].includes(word));
const whole = (least: number, most: number) =>
  z.string().regex(/^\d+$/, "must be a whole number").transform(Number).pipe(z.number().int().min(least).max(most));
const list = z.string().transform((value) =>
  value
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== ""),
);
const webUrl = z.url({ protocol: /^https?$/, error: "must be an address that begins with http:// or https://" });

/** Every setting of the service, by the name of its environment variable, which is also its name in kiln.json. */
export const SETTINGS = {
  KILN_LISTEN: setting(
    listenSchema,
    "7860=instant",
    "Addresses and the dialect at the root of each: [host:]port[=dialect], by commas; instant where none is named.",
  ),
  KILN_ROLE: setting(z.enum(["all", "gateway", "worker"]), "all", "Which parts run in this process."),
  KILN_DATA_DIR: setting(text, "data", "Everything that must last lies under this folder: database, pictures, logs."),
  KILN_PUBLIC_URL: optional(webUrl, "The address that clients see, for links in answers; the request's own host when unset."),
  KILN_LINK_SECONDS: setting(
    whole(0, 315_360_000),
    "604800",
    "Once keys exist: how long the links to pictures that answers hand out open without a key; with 0 they need the key.",
  ),
  KILN_HOSTS: setting(list, "", "Host names besides loopback's that a keyless listener answers to."),
  KILN_CORS_ORIGINS: setting(list, "", "Origins whose pages may call the API, by commas."),
  KILN_VIEWS_REGISTRATION: setting(
    flag,
    "false",
    "Let anybody register at a views listener; else that takes a key with the admin role, or loopback without any key.",
  ),
  KILN_TRUST_PROXY: setting(flag, "false", "Believe X-Forwarded-* headers; only behind a proxy that sets them."),
  DATABASE_URL: optional(
    z.url({ protocol: /^postgres(ql)?$/, error: "must be an address that begins with postgres:// or postgresql://" }),
    "PostgreSQL for records and queue; the embedded one when unset.",
  ),
  REDIS_URL: optional(
    z.url({ protocol: /^rediss?$/, error: "must be an address that begins with redis:// or rediss://" }),
    "Redis or Valkey for the queue; needs appendonly and maxmemory-policy noeviction.",
  ),
  KILN_QUEUE: optional(
    z.enum(["embedded", "postgres", "redis"]),
    "The queue's backend; chosen by which addresses are set when unset.",
  ),
  MODELS_DIR: setting(text, "models", "Folders with checkpoints, LoRAs, ControlNets, VAEs and embeddings, by commas."),
  KILN_PRESETS: optional(
    text,
    "The operator's file of aliases, presets, themes and scenarios; DATA_DIR/presets.json when unset.",
  ),
  KILN_CONTENT_RULES: optional(text, "The operator's content rules; DATA_DIR/content-rules.json when unset."),
  KILN_CONTENT_CEILING: setting(
    whole(0, 100),
    "0",
    "How explicit adult content may be, 0 (none) to 100. Content that sexualises minors is refused at any value.",
  ),
  KILN_DEFAULT_MODEL: optional(text, "The model for requests that name none; the first usable checkpoint when unset."),
  SDXL_MODEL_ID: optional(text, "Hub id or path of the default checkpoint."),
  SDXL_REFINER_ID: optional(text, "Hub id or path of the refiner."),
  SDXL_LORA_PATH: optional(
    lorasSchema,
    "LoRA files that are applied to every request that names none: FILE or FILE:WEIGHT, several by commas.",
  ),
  PRELOAD_MODEL: optional(text, "Load this model at start; else the first request loads it."),
  HF_HOME: optional(text, "The Hugging Face cache, which is part of the catalogue."),
  HF_ENDPOINT: setting(webUrl, "https://huggingface.co", "The hub that `models pull` asks."),
  HF_TOKEN: secret("Token for gated and private models on the hub."),
  CIVITAI_ENDPOINT: setting(webUrl, "https://civitai.com", "The Civitai that `models pull` asks."),
  CIVITAI_TOKEN: secret("Token for downloads from Civitai."),
  KILN_ENGINE: setting(
    z.enum(["diffusion", "test"]),
    "diffusion",
    "The engine; the test engine draws flat pictures and is for benches and tests.",
  ),
  KILN_TEST_ENGINE_STEP_MS: setting(whole(0, 60_000), "5", "How long a step of the test engine takes."),
  KILN_BACKEND: optional(
    z.enum(["onnx", "openvino"]),
    "The library that runs the networks; the fastest one that is installed when unset.",
  ),
  KILN_DEVICE: setting(
    deviceSchema,
    "auto",
    "The device of this process's engine: cpu, cuda (NVIDIA; cuda:1 is the second), webgpu (a graphics card, whoever made it), or the fastest that is there.",
  ),
  KILN_DEVICES: optional(
    devicesSchema,
    "Several devices by commas, as cuda:0,cuda:1, in place of KILN_DEVICE: each has an engine of its own, and all take jobs from one queue.",
  ),
  KILN_PRECISION: setting(
    z.enum(["auto", "float32", "bfloat16", "float16", "int8"]),
    "auto",
    "How exactly the networks compute; auto is float16 with CUDA, bfloat16 with OpenVINO and float32 else; float16 is for graphics cards; int8 is for OpenVINO.",
  ),
  KILN_SLOTS: setting(whole(1, 64), "4", "Jobs that share the denoiser of one engine."),
  KILN_MEMORY_BUDGET: optional(
    memorySchema,
    "Memory that an engine may take, as 24GB or 60%: models beyond it go, least recently used first; jobs of models that do not fit together take turns; a request that needs more is refused. When unset, models go at 80% of the machine's.",
  ),
  KILN_LOOKAHEAD: setting(whole(0, 256), "4", "Jobs that a worker holds beyond its slots, so that it can choose among them."),
  KILN_ENGINE_HANG_SECONDS: setting(whole(5, 3600), "300", "An engine with work that says nothing for so long is replaced."),
  KILN_LOCK_SECONDS: setting(whole(2, 600), "30", "A job whose worker is silent for so long goes back to the queue."),
  KILN_DRAIN_SECONDS: setting(whole(0, 3600), "30", "How long running jobs may go on after SIGTERM before they go back."),
  KILN_MAX_WAITING: setting(whole(1, 10_000_000), "100000", "Jobs that may wait; more are answered 429."),
  KILN_STORAGE: optional(z.enum(["local", "s3"]), "Where pictures lie; s3 when AWS_S3_BUCKET is set, else local."),
  AWS_S3_BUCKET: optional(text, "The bucket for pictures."),
  AWS_REGION: setting(text, "us-east-1", "The bucket's region."),
  AWS_ACCESS_KEY_ID: optional(text, "The bucket's access key; the SDK's own chain when unset."),
  AWS_SECRET_ACCESS_KEY: secret("The bucket's secret."),
  AWS_ENDPOINT_URL: optional(webUrl, "The S3 endpoint, for servers other than Amazon's."),
  KILN_S3_PRESIGN_SECONDS: setting(
    whole(0, 604_800),
    "0",
    "Without a CDN: links to pictures are presigned for so long; 0 leads them through Kiln.",
  ),
  CLOUDFRONT_URL: optional(webUrl, "The CDN's base address; picture links start with it."),
  KILN_RETENTION_DAYS: setting(
    whole(0, 36_500),
    "0",
    "Pictures and jobs older than this are removed; 0 keeps them. Favourites stay.",
  ),
  KILN_OUTPUT_METADATA: setting(flag, "true", "Write the generation's parameters into pictures unless a request says no."),
  KILN_RATE_LIMIT: setting(
    whole(0, 1_000_000),
    "0",
    "Generation requests a minute for each key that has no limit of its own; 0 is none.",
  ),
  KILN_WEBHOOK_PRIVATE: setting(flag, "false", "Let webhooks go to private addresses."),
  MODEL_SERVER_URL: optional(webUrl, "The depth service's own address, for its clients; same as KILN_PUBLIC_URL."),
  MODEL_SERVER_HOST: optional(text, "With MODEL_SERVER_PORT: adds a depth listener on this host."),
  MODEL_SERVER_PORT: optional(whole(1, 65_535), "Adds a depth listener on this port."),
  MODEL_LOG: optional(text, "The line that the Vast.ai worker waits for is written to this file."),
  LOG_LEVEL: setting(
    z
      .string()
      .toLowerCase()
      .pipe(z.enum(["trace", "debug", "info", "warn", "warning", "error", "fatal", "silent"])),
    "info",
    "How much the log says.",
  ),
  REPORT_ADDR: optional(text, "Vast.ai serverless: where load reports go."),
  CONTAINER_ID: optional(text, "Vast.ai serverless: this container."),
  WORKER_PORT: optional(whole(1, 65_535), "Vast.ai serverless: the port of the signed proxy."),
  UNSECURED: setting(flag, "false", "Vast.ai serverless: accept unsigned envelopes."),
  OTEL_EXPORTER_OTLP_ENDPOINT: optional(webUrl, "Traces go here when it is set."),
} as const satisfies Record<string, Setting<unknown>>;

export type SettingName = keyof typeof SETTINGS;

/** All settings with their values, by the same names. */
export type Settings = { readonly [Name in SettingName]: z.output<(typeof SETTINGS)[Name]["schema"]> };
