import OpenAI, { APIError, toFile } from "openai";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../../testing/start-test-server.ts";

const RED = { r: 255, g: 0, b: 0 };
const picture = async (width: number, height: number, background: object = RED) =>
  await sharp({ create: { width, height, channels: "alpha" in background ? 4 : 3, background } })
    .png()
    .toBuffer();

function clientOf(server: TestServer, apiKey = "placeholder", path = "/v1"): OpenAI {
  return new OpenAI({ apiKey, baseURL: server.url + path, maxRetries: 0 });
}

async function errorOf(work: Promise<unknown>): Promise<APIError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof APIError)) throw new Error(`no API error: ${String(error)}`);
  return error;
}

describe("with the test engine", () => {
  let server: TestServer;
  let client: OpenAI;
  beforeAll(async () => {
    server = await startTestServer();
    client = clientOf(server);
  });
  afterAll(async () => {
    await server.close();
  });

  const post = async (path: string, body: unknown, headers: Record<string, string> = {}) =>
    await server.call("POST", path, body, headers);

  /** A multipart form; a value that is a list is sent once for each of its members. */
  async function form(path: string, parts: Record<string, string | Blob | (string | Blob)[]>) {
    const body = new FormData();
    for (const [name, value] of Object.entries(parts)) {
      for (const each of Array.isArray(value) ? value : [value]) body.append(name, each);
    }
    const response = await fetch(server.url + path, { method: "POST", body });
    return { status: response.status, json: (await response.json()) as Record<string, unknown> };
  }

  const blob = (bytes: Buffer, type = "image/png") => new Blob([new Uint8Array(bytes)], { type });

  test("models are listed in OpenAI's form", async () => {
    const models = await client.models.list();
    expect(models.object).toBe("list");
    expect(models.data[0]).toMatchObject({ id: "kiln-test", object: "model", owned_by: "kiln" });
    expect(typeof models.data[0]?.created).toBe("number");
    expect((await client.models.retrieve("kiln-test")).id).toBe("kiln-test");
    expect(await errorOf(client.models.retrieve("nothing"))).toMatchObject({
      status: 404,
      code: "not_found",
      message: expect.stringContaining('"nothing"'),
    });
  });

  test("pictures come as base64 for the GPT image family, with what was made", async () => {
    const answer = await client.images.generate({
      model: "gpt-image-1",
      prompt: "a red fox",
      n: 2,
      size: "auto",
      quality: "auto",
      background: "auto",
      output_format: "webp",
      output_compression: 50,
      user: "somebody",
    });
    expect(answer).toMatchObject({ background: "opaque", output_format: "webp", quality: "medium", size: "256x256" });
    expect(Math.abs(answer.created - Date.now() / 1000)).toBeLessThan(60);
    expect(answer.usage?.total_tokens).toBe(0);
    expect(answer.data).toHaveLength(2);
    const [first] = answer.data ?? [];
    expect(Object.keys(first ?? {})).toEqual(["b64_json"]);
    expect(await sharp(Buffer.from(first?.b64_json ?? "", "base64")).metadata()).toMatchObject({ format: "webp", width: 256 });
  });

  test("pictures come as links for DALL-E, and the link works", async () => {
    const answer = await client.images.generate({
      model: "dall-e-3",
      prompt: "a",
      size: "1792x1024",
      quality: "hd",
      style: "vivid",
    });
    expect(answer).toMatchObject({ size: "1792x1024", quality: "high" });
    const url = answer.data?.[0]?.url ?? "";
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/v1\/images\//);
    const bytes = Buffer.from(await (await fetch(url)).arrayBuffer());
    expect(await sharp(bytes).metadata()).toMatchObject({ format: "png", width: 1792, height: 1024 });
    const asked = await client.images.generate({ model: "dall-e-2", prompt: "a", response_format: "b64_json", size: "512x512" });
    expect(asked.data?.[0]?.b64_json).toBeTypeOf("string");
  });

  test("quality is in steps of the model's own number", async () => {
    const { json } = await server.call("GET", "/v1/jobs?limit=1");
    expect(json).toMatchObject({ jobs: [{ request: { steps: 4 } }] });
    await client.images.generate({ prompt: "a", quality: "low" });
    expect((await server.call("GET", "/v1/jobs?limit=1")).json).toMatchObject({ jobs: [{ request: { steps: 2 } }] });
    await client.images.generate({ prompt: "a", quality: "high" });
    expect((await server.call("GET", "/v1/jobs?limit=1")).json).toMatchObject({ jobs: [{ request: { steps: 6 } }] });
  });

  test("ten pictures are more than one job makes, and come in one answer", async () => {
    const { data } = await client.images.generate({ model: "gpt-image-1", prompt: "a", n: 10 });
    expect(data).toHaveLength(10);
  });

  test("a base address without /v1 serves too, and nulls and unknown fields are nothing", async () => {
    const answer = await clientOf(server, "x", "").images.generate({ prompt: "a" });
    expect(answer.data?.[0]?.url).toBeTypeOf("string");
    const nulls = { model: null, n: null, size: null, quality: null, response_format: null, output_format: null, user: null };
    const { status, json } = await post("/images/generations", { prompt: "a", ...nulls, invented: { deep: [1] } });
    expect({ status, json }).toMatchObject({ status: 200, json: { data: [{ url: expect.any(String) }] } });
  });

  test("an edit paints anew where the mask is transparent, in the picture's own shape", async () => {
    const clear = { r: 0, g: 0, b: 0, alpha: 0 };
    const image = await toFile(await picture(128, 64), "image.png", { type: "image/png" });
    const mask = await toFile(await picture(128, 64, clear), "mask.png", { type: "image/png" });
    const answer = await client.images.edit({ model: "gpt-image-1", image, mask, prompt: "a hat", n: 1, size: "auto" });
    expect(answer).toMatchObject({ size: "360x184", background: "opaque" });
    const { json } = await server.call("GET", "/v1/jobs?limit=1");
    const [job] = (json as { jobs: { request: Record<string, unknown> }[] }).jobs;
    expect(job?.request).toMatchObject({ prompt: "a hat", strength: 1, width: 360, height: 184, inpaint: { region: "whole" } });
    const { bytes } = await server.context.pictures.open(String(job?.request.mask).slice("upload:".length), LOCAL);
    const { channels } = await sharp(bytes).stats();
    expect(channels.map(({ min }) => min)).toEqual([255, 255, 255]);
  });

  test("image[] is the same as image, and a picture without a mask is changed by the prompt", async () => {
    const image = blob(await picture(64, 64));
    const plain = await form("/v1/images/edits", { "image[]": image, prompt: "x", n: "2", response_format: "b64_json" });
    expect(plain).toMatchObject({ status: 200, json: { data: [{}, {}], size: "256x256" } });
    expect((await server.call("GET", "/v1/jobs?limit=1")).json).toMatchObject({ jobs: [{ request: { strength: 0.75, n: 2 } }] });
    await form("/images/edits", { image, prompt: "x", input_fidelity: "high", size: "128x128" });
    const { json } = await server.call("GET", "/v1/jobs?limit=1");
    expect(json).toMatchObject({ jobs: [{ request: { strength: 0.5, width: 128 } }] });
    expect(Object.keys((json as { jobs: { request: object }[] }).jobs[0]?.request ?? {})).not.toContain("mask");
    expect(await form("/v1/images/edits", { "image[]": [image, image], prompt: "x" })).toMatchObject({
      status: 400,
      json: { error: { param: "image", type: "invalid_request_error", message: expect.stringContaining("2 pictures") } },
    });
  });

  test("a variation needs no words", async () => {
    const image = await toFile(await picture(64, 64), "image.png", { type: "image/png" });
    const answer = await client.images.createVariation({ image, n: 2, size: "256x256", response_format: "b64_json" });
    expect(answer.data).toHaveLength(2);
    expect((await server.call("GET", "/v1/jobs?limit=1")).json).toMatchObject({ jobs: [{ request: { strength: 0.6 } }] });
  });

  test("an unknown model is 400", async () => {
    const error = await errorOf(client.images.generate({ model: "invalid-model", prompt: "a" }));
    expect(error).toMatchObject({ status: 400, code: "model_not_found", param: "model", type: "invalid_request_error" });
    expect(error.requestID).toMatch(/^req_/);
    const image = await toFile(await picture(64, 64), "image.png", { type: "image/png" });
    expect((await errorOf(client.images.edit({ model: "invalid-model", prompt: "a", image }))).status).toBe(400);
  });

  test("what the content policy refuses is said to be so", async () => {
    const error = await errorOf(client.images.generate({ prompt: "explicit porn" }));
    expect(error).toMatchObject({ status: 400, code: "content_policy_violation" });
  });

  test("a picture that fails is a clear error, and nothing is retried for ever", async () => {
    expect(await post("/v1/images/generations", { prompt: "[fail]" })).toMatchObject({
      status: 500,
      json: { error: { type: "server_error", code: "server_error", message: expect.stringContaining("NaN") } },
    });
  });

  const JSON_FIELDS =
    "prompt model n size quality response_format output_format output_compression background user partial_images";
  const WRONG = [[], {}, [1], { a: 1 }, 1e308, -1, 0.5, true, "\u0000", "x".repeat(40_000)];
  test.each(JSON_FIELDS.split(" "))("wrong types in %s are 400 with its name", async (field) => {
    for (const wrong of WRONG) {
      const { status, json } = await post("/v1/images/generations", { prompt: "a", [field]: wrong });
      expect({ field, wrong, status }).toEqual({ field, wrong, status: 400 });
      expect(json).toMatchObject({ error: { message: expect.any(String), type: "invalid_request_error", param: field } });
    }
  });

  test("bodies that are none are 4xx in OpenAI's form", async () => {
    const raw = async (path: string, body: string, type: string) => {
      const response = await fetch(server.url + path, { method: "POST", body, headers: { "content-type": type } });
      return { status: response.status, json: (await response.json()) as unknown };
    };
    const error = { error: { message: expect.any(String), type: "invalid_request_error" } };
    for (const body of ["{", "[]", "null", '"x"', "", "3"]) {
      expect(await raw("/v1/images/generations", body, "application/json")).toMatchObject({ status: 400, json: error });
    }
    expect(await raw("/v1/images/generations", '{"prompt":"a","stream":"yes"}', "application/json")).toMatchObject({
      status: 400,
    });
    expect(await raw("/v1/images/generations", "a=b", "text/csv")).toMatchObject({ status: 415, json: error });
    expect(await raw("/v1/images/edits", "{}", "application/json")).toMatchObject({ status: 400, json: error });
    expect(await raw("/v1/images/edits", "junk", "multipart/form-data; boundary=x")).toMatchObject({ status: 400, json: error });
    expect(await form("/v1/images/edits", { prompt: "x" })).toMatchObject({ status: 400, json: { error: { param: "image" } } });
    const image = blob(await picture(64, 64));
    const cases: [Record<string, string | Blob>, string][] = [
      [{ image: blob(Buffer.from("<svg/>"), "image/svg+xml"), prompt: "x" }, "image"],
      [{ image: blob((await picture(64, 64)).subarray(0, 60)), prompt: "x" }, "image"],
      [{ image: "text", prompt: "x" }, "image"],
      [{ image, mask: blob(await picture(32, 32)), prompt: "x" }, "mask"],
      [{ image, mask: blob(Buffer.from("x")), prompt: "x" }, "mask"],
      [{ image, prompt: "" }, "prompt"],
      [{ image }, "prompt"],
      [{ image, prompt: "x", n: "two" }, "n"],
      [{ image, prompt: "x", n: "0" }, "n"],
      [{ image, prompt: "x", size: "100000x8" }, "size"],
      [{ image, prompt: "x", size: "99999x99999" }, "size"],
      [{ image, prompt: "x", size: "100x100" }, "size"],
      [{ image, prompt: "x", quality: "best" }, "quality"],
    ];
    for (const [parts, param] of cases) {
      expect({ param, ...(await form("/v1/images/edits", parts)) }).toMatchObject({
        param,
        status: 400,
        json: { error: { param } },
      });
    }
    expect(await post("/v1/images/generations", { prompt: "x", size: "100x100" })).toMatchObject({
      status: 400,
      json: { error: { param: "size" } },
    });
  });

  test("a client that goes away gives its job up", async () => {
    const gone = new AbortController();
    const asked = client.images.generate({ prompt: "left behind", quality: "high" }, { signal: gone.signal }).catch(() => "gone");
    await server.context.jobs.submit({ prompt: "x", steps: 150 }, LOCAL);
    for (;;) {
      const { json } = await server.call("GET", "/v1/jobs?search=left%20behind");
      if ((json as { jobs: unknown[] }).jobs.length > 0) break;
    }
    gone.abort();
    expect(await asked).toBe("gone");
    for (;;) {
      const { json } = await server.call("GET", "/v1/jobs?search=left%20behind");
      const [job] = (json as { jobs: { status: string }[] }).jobs;
      if (job && ["cancelled", "completed"].includes(job.status)) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });

  test("keys and limits are said in OpenAI's form", async () => {
    // The last test of this server: from here on it asks for keys.
    const { key: admin } = await server.context.keys.create({ name: "admin", role: "admin" });
    const { key } = await server.context.keys.create({ name: "one a minute", ratePerMinute: 1 });
    const refused = await errorOf(clientOf(server, "wrong").images.generate({ prompt: "a" }));
    expect(refused).toMatchObject({ status: 401, code: "invalid_api_key" });
    expect((await clientOf(server, admin).images.generate({ prompt: "a" })).data).toHaveLength(1);
    await clientOf(server, key).images.generate({ prompt: "a" });
    const limited = await errorOf(clientOf(server, key).images.generate({ prompt: "a" }));
    expect(limited).toMatchObject({ status: 429, code: "rate_limit_exceeded", type: "rate_limit_error" });
    expect(Number(limited.headers?.get("retry-after"))).toBeGreaterThan(0);
  });
});

const LOCAL = {
  owner: "local",
  role: "admin" as const,
  ratePerMinute: undefined,
  quotaPicturesPerDay: undefined,
  contentCeiling: undefined,
};

describe("with the demo checkpoint", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ KILN_ENGINE: "diffusion" });
  });
  afterAll(async () => {
    await server.close();
  });

  test("partial pictures come while the picture is made, then the picture, in the same size", async () => {
    const stream = await clientOf(server).images.generate({
      model: "gpt-image-1",
      prompt: "a red house by the sea",
      quality: "low",
      stream: true,
      partial_images: 2,
    });
    const events: { type: string; size: string; output_format: string; b64_json: string; index: number | undefined }[] = [];
    for await (const event of stream) {
      const { type, size, output_format, b64_json } = event;
      events.push({
        type,
        size,
        output_format,
        b64_json,
        index: "partial_image_index" in event ? event.partial_image_index : undefined,
      });
    }
    const partials = events.slice(0, -1);
    expect(partials.length).toBeGreaterThanOrEqual(1);
    expect(partials.length).toBeLessThanOrEqual(2);
    expect(partials.map(({ index }) => index)).toEqual([...partials.keys()]);
    expect(partials.every(({ type }) => type === "image_generation.partial_image")).toBe(true);
    expect(events.at(-1)).toMatchObject({ type: "image_generation.completed", size: "256x256", output_format: "png" });
    for (const { b64_json } of events) {
      const bytes = Buffer.from(b64_json, "base64");
      expect(await sharp(bytes).metadata()).toMatchObject({ format: "png", width: 256, height: 256 });
      const { channels } = await sharp(bytes).stats();
      expect(Math.max(...channels.map(({ stdev }) => stdev))).toBeGreaterThan(5);
    }
  });

  test("each of several pictures shows itself while it is edited or varied", async () => {
    const image = await picture(256, 256, { r: 40, g: 60, b: 200 });
    for (const [path, prompt] of [
      ["edits", "a green field"],
      ["variations", undefined],
    ] as const) {
      const body = new FormData();
      body.append("image", new Blob([new Uint8Array(image)], { type: "image/png" }));
      const fields = { n: "2", stream: "true", partial_images: "1", ...(prompt === undefined ? {} : { prompt }) };
      for (const [name, value] of Object.entries(fields)) body.append(name, value);
      const response = await fetch(`${server.url}/v1/images/${path}`, { method: "POST", body });
      const events = [...(await response.text()).matchAll(/^data: (.*)$/gm)].map(([, data = ""]) => JSON.parse(data) as unknown);
      const partial = { type: "image_edit.partial_image", partial_image_index: 0, b64_json: expect.any(String) };
      const completed = { type: "image_edit.completed", b64_json: expect.any(String), size: "256x256" };
      expect(events).toMatchObject([partial, partial, completed, completed]);
    }
  });

  test("a masked edit changes what is transparent and keeps the rest", async () => {
    const client = clientOf(server);
    const blue = await picture(256, 256, { r: 40, g: 60, b: 200 });
    const opaque = await picture(256, 128, { r: 0, g: 0, b: 0, alpha: 1 });
    const mask = await sharp({ create: { width: 256, height: 256, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } } })
      .composite([{ input: opaque, top: 0, left: 0 }])
      .png()
      .toBuffer();
    const events: string[] = [];
    let last = "";
    const stream = await client.images.edit({
      image: await toFile(blue, "image.png", { type: "image/png" }),
      mask: await toFile(mask, "mask.png", { type: "image/png" }),
      prompt: "a green field",
      quality: "low",
      stream: true,
    });
    for await (const event of stream) {
      events.push(event.type);
      last = event.b64_json;
    }
    expect(events).toEqual(["image_edit.completed"]);
    const bytes = Buffer.from(last, "base64");
    // Statistics are of what is read, so the part is cut out before.
    const half = async (top: number) => {
      const part = await sharp(bytes).extract({ left: 0, top, width: 256, height: 96 }).png().toBuffer();
      return (await sharp(part).stats()).channels.map(({ mean }) => mean);
    };
    const [top, bottom] = [await half(0), await half(160)];
    expect(top).toEqual([40, 60, 200]);
    expect(Math.abs((bottom[2] ?? 0) - 200)).toBeGreaterThan(30);
  });
});
