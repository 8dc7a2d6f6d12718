import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lookAt } from "../../testing/look-at.ts";
import { REFERENCE_FOLDER } from "../../testing/model-folders.ts";
import { startTestServer, type TestServer } from "../../testing/start-test-server.ts";

/** The documented client: a multipart form, and the picture in the body. */
async function generate(
  server: TestServer,
  fields: Record<string, string>,
  file?: Blob,
  query = "",
): Promise<{ status: number; headers: Headers; bytes: Buffer; json: () => unknown }> {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  if (file) form.set("pose", file, "pose.png");
  const response = await fetch(`${server.url}/generate${query}`, { method: "POST", body: form });
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status: response.status, headers: response.headers, bytes, json: () => JSON.parse(bytes.toString("utf8")) as unknown };
}

/** A standing figure in OpenPose's colours, on black. */
async function skeleton(width: number, height: number, lean = 0): Promise<Buffer> {
  const at = (x: number, y: number) => `${x * width},${y * height}`;
  const line = (colour: string, points: string) =>
    `<polyline points="${points}" stroke="${colour}" stroke-width="4" fill="none"/>`;
  const figure = [
    line("#ff0000", `${at(0.5, 0.2)} ${at(0.3, 0.3)} ${at(0.2 + lean, 0.5)}`),
    line("#00ff00", `${at(0.5, 0.2)} ${at(0.7, 0.3)} ${at(0.8 - lean, 0.5)}`),
    line("#0000ff", `${at(0.5, 0.2)} ${at(0.5, 0.6)} ${at(0.4, 0.95)}`),
  ];
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="#000"/>${figure.join("")}</svg>`;
  return await sharp(Buffer.from(svg)).png().toBuffer();
}

async function photo(width: number, height: number): Promise<Buffer> {
  const noise = { type: "gaussian", mean: 140, sigma: 40 } as const;
  return await sharp({ create: { width, height, channels: 3, background: "#888", noise } })
    .jpeg()
    .toBuffer();
}

const asBlob = (bytes: Buffer) => new Blob([new Uint8Array(bytes)], { type: "image/png" });

describe("with the test engine", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ KILN_LISTEN: "127.0.0.1:0=pose" });
  });
  afterAll(async () => {
    await server.close();
  });

  async function lastRequest(): Promise<Record<string, unknown>> {
    const { json } = await server.call("GET", "/v1/jobs?limit=1");
    return (json as { jobs: { request: Record<string, unknown> }[] }).jobs[0]?.request ?? {};
  }

  test("the documented request and answer", async () => {
    const { status, headers, bytes } = await generate(server, {
      prompt: "a dancer on a stage",
      negative_prompt: "blurry",
      width: "128",
      height: "192",
      num_inference_steps: "6",
      guidance_scale: "6.5",
      seed: "99",
    });
    expect(status).toBe(200);
    expect(headers.get("content-type")).toBe("image/png");
    expect(headers.get("x-generation-time")).toMatch(/^\d+\.\d\d$/);
    expect(headers.get("x-prompt")).toBe("a dancer on a stage");
    expect(await lookAt(bytes)).toMatchObject({ format: "png", width: 128, height: 192 });
    expect(await lastRequest()).toMatchObject({
      negative_prompt: "blurry",
      steps: 6,
      guidance_scale: 6.5,
      seed: 99,
      scheduler: "euler_a",
      controls: [],
    });
  });

  test("the prompt and everything else as query parameters; the form goes before them", async () => {
    const { status } = await generate(
      server,
      { width: "64" },
      undefined,
      "?prompt=from%20the%20query&width=128&height=64&seed=5",
    );
    expect(status).toBe(200);
    expect(await lastRequest()).toMatchObject({ prompt: "from the query", width: 64, height: 64, seed: 5 });
    const bare = await fetch(`${server.url}/generate?prompt=no%20body`, { method: "POST" });
    expect(bare.status).toBe(200);
    expect(await lookAt(Buffer.from(await bare.arrayBuffer()))).toMatchObject({ width: 256, height: 256 });
  });

  test("URL-encoded forms and JSON are taken too; empty fields count as left out", async () => {
    const form = new URLSearchParams({ prompt: "a form", seed: "", width: "64", unknown: "x" });
    expect((await fetch(`${server.url}/generate`, { method: "POST", body: form })).status).toBe(200);
    expect(await lastRequest()).toMatchObject({ prompt: "a form", width: 64, height: 256, steps: 4 });
    expect((await fetch(`${server.url}/generate`, json({ prompt: "some JSON", seed: 3 }))).status).toBe(200);
    expect(await lastRequest()).toMatchObject({ prompt: "some JSON", seed: 3 });
  });

  test.each([
    ["1e1", 10],
    [" 7.50 ", 7.5],
    [".5", 0.5],
    ["+3.", 3],
  ])("a guidance scale of %j is %d", async (guidance_scale, expected) => {
    expect((await generate(server, { prompt: "x", width: "64", height: "64", guidance_scale })).status).toBe(200);
    expect((await lastRequest()).guidance_scale).toBe(expected);
  });

  const json = (body: unknown) => ({
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  });

  test.each([
    ["café", "café"],
    ["図書館", "%E5%9B%B3%E6%9B%B8%E9%A4%A8"],
    ["two\nlines, 100%", "two%0D%0Alines%2C%20100%25"],
    ["a🦊", "a%F0%9F%A6%8A"],
  ])("the prompt %j comes back in its header", async (prompt, header) => {
    const { status, headers } = await generate(server, { prompt, width: "64", height: "64" });
    expect([status, headers.get("x-prompt")]).toEqual([200, header]);
  });

  test("a long prompt is cut in its header alone", async () => {
    const { status, headers } = await generate(server, { prompt: "é ".repeat(4000), width: "64", height: "64" });
    expect(status).toBe(200);
    expect(headers.get("x-prompt")?.length).toBeLessThanOrEqual(4096);
    expect((await lastRequest()).prompt).toBe("é ".repeat(4000));
  });

  test.each([
    [{}, "prompt", "missing"],
    [{ prompt: "" }, "prompt", "missing"],
    [{ prompt: "x", width: "wide" }, "width", "number_type"],
    [{ prompt: "x", width: "100" }, "width", "multiple_of"],
    [{ prompt: "x", height: "4096" }, "height", "less_than_equal"],
    [{ prompt: "x", num_inference_steps: "0" }, "num_inference_steps", "greater_than_equal"],
    [{ prompt: "x", num_inference_steps: "2.5" }, "num_inference_steps", "int_type"],
    [{ prompt: "x", guidance_scale: "31" }, "guidance_scale", "less_than_equal"],
    [{ prompt: "x", guidance_scale: "1e400" }, "guidance_scale", undefined],
    [{ prompt: "x", guidance_scale: "NaN" }, "guidance_scale", "number_type"],
    [{ prompt: "x", guidance_scale: "Infinity" }, "guidance_scale", "number_type"],
    [{ prompt: "x", width: "1e30" }, "width", undefined],
    [{ prompt: "x", seed: "1e3" }, "seed", undefined],
    [{ prompt: "x", seed: "-2" }, "seed", undefined],
    [{ prompt: "x", seed: "18446744073709551616" }, "seed", undefined],
    [{ prompt: "x", pose: "no file" }, "pose", "value_error"],
  ])("%j is refused, and %s named", async (fields, field, type) => {
    const answer = await generate(server, fields);
    expect(answer.status).toBe(422);
    const { detail } = answer.json() as { detail: { loc: string[]; type: string }[] };
    expect(detail[0]?.loc).toEqual(["body", field]);
    if (type) expect(detail[0]?.type).toBe(type);
  });

  const names = ["prompt", "negative_prompt", "width", "height", "num_inference_steps", "guidance_scale", "seed", "pose"];
  test.each(names)("wrong types in %s are refused in the contract's form", async (name) => {
    for (const value of [[], {}, [1, "x"], true, -7, 1e300, "\0", "\ud800"]) {
      const single = await fetch(`${server.url}/generate`, json({ prompt: "x", width: 64, height: 64, [name]: value }));
      if (single.status === 200) continue;
      expect(single.status).toBe(422);
      expect(JSON.stringify(((await single.json()) as { detail: unknown }).detail)).toContain(name);
    }
  });

  test("pictures that are none, cut, photos, and poses without a ControlNet", async () => {
    const refusal = async (bytes: Buffer) => {
      const answer = await generate(server, { prompt: "x", width: "64", height: "64" }, asBlob(bytes));
      expect(answer.status).toBe(422);
      const { detail } = answer.json() as { detail: { loc: string[]; msg: string }[] };
      expect(detail[0]?.loc).toEqual(["body", "pose"]);
      return detail[0]?.msg;
    };
    const drawn = await skeleton(128, 128);
    expect(await refusal(Buffer.from("no picture at all"))).toContain("is not a PNG, JPEG or WebP");
    expect(await refusal(Buffer.alloc(0))).toContain("is not a PNG, JPEG or WebP");
    expect(await refusal(drawn.subarray(0, drawn.length / 2))).toContain("damaged or cut");
    expect(await refusal(await photo(128, 128))).toContain("no pose extractor is installed");
    expect(await refusal(drawn)).toContain("no ControlNet for poses is installed");
    for await (const key of server.context.storage.list("uploads/")) expect.fail(`${key} is kept`);
  });

  test("half an upload is refused, and nothing is left waiting", async () => {
    const body =
      '--b\r\ncontent-disposition: form-data; name="prompt"\r\n\r\nx\r\n--b\r\ncontent-disposition: form-data; name="pose"; filename="p"\r\n\r\nabc';
    const response = await fetch(`${server.url}/generate`, {
      method: "POST",
      body,
      headers: { "content-type": "multipart/form-data; boundary=b" },
    });
    expect(response.status).toBe(422);
    expect(await response.json()).toEqual({ detail: [{ loc: ["body"], msg: expect.any(String), type: "json_invalid" }] });
  });

  test("a prompt that the policy refuses, and a picture that cannot be made", async () => {
    const refused = await generate(server, { prompt: "a nude woman" });
    expect([refused.status, refused.json()]).toEqual([400, { detail: expect.any(String), code: "content_policy" }]);
    const failed = await generate(server, { prompt: "[fail]" });
    expect([failed.status, failed.json()]).toEqual([500, { detail: "The UNet's output holds NaN." }]);
  });

  test("a batch: each request has its result, and one that fails does not stop the others", async () => {
    const items = [
      { prompt: "one", width: 64, height: 64, num_inference_steps: 2, guidance_scale: 7.5, seed: 1 },
      { prompt: "[fail]", width: 64, height: 64 },
      { prompt: "a nude woman" },
      { prompt: "two", negative_prompt: null, seed: null },
    ];
    const { status, json: answer } = await server.call("POST", "/generate/batch?max_batch_size=3", items);
    expect(status).toBe(200);
    expect(answer).toEqual({
      total: 4,
      successful: 2,
      failed: 2,
      results: [
        { status: "success", image_path: expect.any(String), generation_time: expect.any(Number), prompt: "one" },
        { status: "error", error: "The UNet's output holds NaN.", prompt: "[fail]" },
        { status: "error", error: expect.any(String), prompt: "a nude woman" },
        { status: "success", image_path: expect.any(String), generation_time: expect.any(Number), prompt: "two" },
      ],
    });
    const path = (answer as { results: { image_path: string }[] }).results[0]?.image_path ?? "";
    expect(await lookAt(Buffer.from(await (await fetch(path)).arrayBuffer()))).toMatchObject({ width: 64, height: 64 });
    expect((await server.call("POST", "/generate/batch", [])).json).toEqual({ total: 0, successful: 0, failed: 0, results: [] });
  });

  test.each([
    ["", { prompt: "no list" }, ["body"]],
    ["", [{ prompt: "x" }, {}], ["body", 1, "prompt"]],
    ["", [{ prompt: "x", width: "wide" }], ["body", 0, "width"]],
    ["", ["x"], ["body", 0]],
    ["?max_batch_size=0", [], ["query", "max_batch_size"]],
    ["?max_batch_size=many", [], ["query", "max_batch_size"]],
  ])("a wrong batch %s %j is refused as a whole", async (query, body, loc) => {
    const { status, json: answer } = await server.call("POST", `/generate/batch${query}`, body);
    expect(status).toBe(422);
    expect((answer as { detail: { loc: unknown[] }[] }).detail[0]?.loc).toEqual(loc);
  });

  test("the root and health", async () => {
    expect(await (await fetch(`${server.url}/`)).json()).toEqual({ message: expect.any(String), status: "running" });
    expect((await server.call("GET", "/health")).json).toEqual({ status: "healthy", model_loaded: true });
  });
});

describe.skipIf(!REFERENCE_FOLDER)("with a ControlNet for poses", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({
      KILN_LISTEN: "127.0.0.1:0=pose",
      KILN_ENGINE: "diffusion",
      MODELS_DIR: REFERENCE_FOLDER ?? "",
      KILN_DEFAULT_MODEL: "tiny-xl",
    });
  });
  afterAll(async () => {
    await server.close();
  });

  test("the pose steers the picture, and the same pose gives the same picture", async () => {
    const fields = { prompt: "a dancer", width: "64", height: "96", num_inference_steps: "3", seed: "4" };
    const pose = asBlob(await skeleton(300, 200));
    const posed = await generate(server, fields, pose);
    expect(posed.status).toBe(200);
    const look = await lookAt(posed.bytes);
    expect(look).toMatchObject({ format: "png", width: 64, height: 96 });
    expect(look.deviation).toBeGreaterThan(1);
    expect((await generate(server, fields, pose)).bytes.equals(posed.bytes)).toBe(true);
    expect((await generate(server, fields, asBlob(await skeleton(300, 200, 0.3)))).bytes.equals(posed.bytes)).toBe(false);
    expect((await generate(server, fields)).bytes.equals(posed.bytes)).toBe(false);

    const { json } = await server.call("GET", "/v1/jobs?limit=4");
    const requests = (json as { jobs: { request: { controls: { image: string; model: string; scale: number }[] } }[] }).jobs;
    const [plain, other, again, first] = requests.map(({ request }) => request.controls[0]);
    expect(plain).toBeUndefined();
    expect(first).toMatchObject({ model: "tiny-xl-controlnet-pose", scale: 1 });
    expect(again?.image).toBe(first?.image);
    expect(other?.image).not.toBe(first?.image);

    // Whole, centred, on black: 300x200 inside 64x96 leaves bands above and below.
    const upload = await fetch(`${server.url}/v1/uploads/${first?.image.split(":")[1]}`);
    const control = Buffer.from(await upload.arrayBuffer());
    expect(await lookAt(control)).toMatchObject({ width: 64, height: 96 });
    // Statistics are of what is given, whatever has been asked of it since.
    const band = await sharp(control).extract({ left: 0, top: 0, width: 64, height: 24 }).png().toBuffer();
    const { channels } = await sharp(band).stats();
    expect(Math.max(...channels.map(({ max }) => max))).toBe(0);
  });
});
