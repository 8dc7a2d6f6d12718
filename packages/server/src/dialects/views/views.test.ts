import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { lookAt } from "../../testing/look-at.ts";
import { REFERENCE_FOLDER } from "../../testing/model-folders.ts";
import { openSocket } from "../../testing/open-socket.ts";
import { startTestServer, type TestServer } from "../../testing/start-test-server.ts";
import { bytesAt, type Client, formOf, type Job, PHOTO, register, SKELETON } from "../../testing/views-client.ts";
import { keysUnder, SLOWEST, startViewsServer } from "../../testing/views-server.ts";

let server: TestServer;
let anna: Client;
beforeAll(async () => {
  server = await startViewsServer();
  anna = await register(server, "Anna@example.org");
});
afterAll(async () => {
  await server.close();
});

test("the documented request and its answer, before anything is drawn", async () => {
  const slow = await startViewsServer(SLOWEST);
  try {
    const client = await register(slow, "Anna@example.org");
    const fields = { region: "gluteal", scenario: "projection-level-2", message: "please keep the light" };
    const created = await client.create(fields);
    expect(created).toEqual({
      id: expect.any(Number),
      user: expect.any(Number),
      ...fields,
      status: expect.stringMatching(/^(queued|processing)$/),
      original_image: expect.stringMatching(/^http/),
      original_image_url: expect.stringMatching(/^http/),
      simulation1_image: null,
      simulation1_url: null,
      simulation2_image: null,
      simulation2_url: null,
      selected_simulation: null,
      is_favorite: false,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      updated_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      error: null,
      progress: null,
      pose_found: false,
      warnings: ["No ControlNet for poses is installed: the pictures are drawn from the photo alone."],
    });
  } finally {
    await slow.close();
  }
});

test("a photo becomes two pictures", async () => {
  const created = await anna.create({ scenario: "projection-level-2" });
  const job = await anna.ended(created.id);
  expect(job).toMatchObject({ status: "completed", error: null });
  for (const url of [job.simulation1_url, job.simulation2_url])
    expect(await lookAt(await bytesAt(url))).toMatchObject({ format: "jpeg", width: 256, height: 256 });
  expect((await bytesAt(job.original_image_url)).equals(PHOTO)).toBe(true);

  const keys = await keysUnder(server, "originals/", "simulations/");
  expect(keys).toContain(`simulations/${job.id}_rear.jpg`);
  expect(keys).toContain(`simulations/${job.id}_side.jpg`);
  expect(keys.some((key) => /^originals\/My-photo-1_[0-9a-f]{12}\.jpg$/.test(key))).toBe(true);
});

test("both views have the same recipe; only the view's phrase differs", async () => {
  await anna.ended((await anna.create({ scenario: "projection-level-3", region: "abdominal", message: "with $& signs" })).id);
  const { json } = await server.call("GET", "/v1/jobs?limit=2");
  const [side, rear] = (json as { jobs: { request: Record<string, unknown> }[] }).jobs.map(({ request }) => request);
  expect(rear?.prompt).toBe("studio photograph, pronounced change, seen from the back, same person, with $& signs");
  expect(side?.prompt).toBe("studio photograph, pronounced change, seen in profile, same person, with $& signs");
  expect(rear).toMatchObject({ strength: 0.65, negative_prompt: "nudity, blurry", output: { format: "jpeg", quality: 95 } });
  expect({ ...rear, prompt: "", output: {} }).toEqual({ ...side, prompt: "", output: {} });
});

test("what is left out, and addresses without their slash", async () => {
  const { status, json } = await anna.send("POST", "/api/jobs", formOf({ message: "", unknown: "x" }, PHOTO));
  expect([status, json]).toMatchObject([201, { region: "gluteal", scenario: "projection-level-1", message: "" }]);
  expect((await anna.send("GET", `/api/jobs/${(json as Job).id}`)).status).toBe(200);
});

test.each<[object | undefined, Record<string, string[]>]>([
  [formOf({}), { original_image: ["No file was submitted."] }],
  [formOf({ original_image: "text" }), { original_image: ["The submitted data was not a file."] }],
  [{ original_image: PHOTO.toString("base64") }, { original_image: ["The submitted data was not a file."] }],
  [
    formOf({ region: "nowhere", scenario: "x" }),
    { region: [expect.any(String)], scenario: [expect.any(String)], original_image: [expect.any(String)] } as Record<
      string,
      string[]
    >,
  ],
  [formOf({ region: "nowhere" }, PHOTO), { region: ['"nowhere" is not a valid choice.'] }],
  [formOf({ scenario: "projection-level-9" }, PHOTO), { scenario: ['"projection-level-9" is not a valid choice.'] }],
  [formOf({ message: "x".repeat(2001) }, PHOTO), { message: ["Ensure this field has no more than 2000 characters."] }],
  [formOf({ message: "\0" }, PHOTO), { message: [expect.any(String)] } as Record<string, string[]>],
  [formOf({ message: "and nude" }, PHOTO), { message: [expect.any(String)] } as Record<string, string[]>],
  [formOf({}, Buffer.from("no picture at all")), { original_image: [expect.any(String)] } as Record<string, string[]>],
  [formOf({}, PHOTO.subarray(0, PHOTO.length / 2)), { original_image: [expect.any(String)] } as Record<string, string[]>],
  [formOf({}, PHOTO, PHOTO), { pose: [expect.any(String)] } as Record<string, string[]>],
  [undefined, { original_image: ["No file was submitted."] }],
])("a wrong form is refused by field, and nothing is kept (%#)", async (form, fields) => {
  const kept = async () => [(await anna.list()).count, ...(await keysUnder(server, "originals/", "uploads/"))];
  const before = await kept();
  const { status, json } = await anna.send("POST", "/api/jobs/", form);
  expect([status, json]).toEqual([400, fields]);
  expect(await kept()).toEqual(before);
});

test.skipIf(!REFERENCE_FOLDER)("two real pictures of a photo, with a white control image or with a skeleton", async () => {
  const server = await startTestServer({
    KILN_LISTEN: "127.0.0.1:0=views",
    KILN_ENGINE: "diffusion",
    MODELS_DIR: REFERENCE_FOLDER ?? "",
    KILN_DEFAULT_MODEL: "tiny-xl",
  });
  try {
    const client = await register(server, "anna@example.org");
    const socket = await openSocket(`${server.url}/ws/jobs/?token=${client.token}`);
    const created = [await client.create(), await client.create({}, PHOTO, SKELETON)];
    const [plain, posed] = [await client.ended(created[0]?.id ?? 0), await client.ended(created[1]?.id ?? 0)];
    expect(plain).toMatchObject({
      status: "completed",
      pose_found: false,
      warnings: [expect.stringContaining("No pose was found")],
    });
    expect(posed).toMatchObject({ status: "completed", pose_found: true, warnings: [] });
    const messages = socket.messages as { type: string; progress?: { total_steps: number } }[];
    while (!messages.some(({ progress }) => progress)) await sleep(10);
    // Of its 30 steps a photo leaves as many as the scenario's strength says, from the first news on.
    expect(new Set(messages.flatMap(({ progress }) => progress?.total_steps ?? []))).toEqual(new Set([10]));
    socket.close();
    const pictures: Buffer[] = [];
    for (const job of [plain, posed])
      for (const url of [job.simulation1_url, job.simulation2_url]) pictures.push(await bytesAt(url));
    for (const picture of pictures) {
      const look = await lookAt(picture);
      expect(look).toMatchObject({ format: "jpeg", width: look.height });
      expect(look.deviation).toBeGreaterThan(1);
    }
    expect(pictures[0]?.equals(pictures[1] ?? Buffer.alloc(0))).toBe(false);
  } finally {
    await server.close();
  }
});
