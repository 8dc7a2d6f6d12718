import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { lookAt } from "../../testing/look-at.ts";
import { REFERENCE_FOLDER } from "../../testing/model-folders.ts";
import { openSocket } from "../../testing/open-socket.ts";
import { startTestServer, type TestServer } from "../../testing/start-test-server.ts";
import { bytesAt, Client, formOf, type Job, type Page, PHOTO, register, SKELETON } from "../../testing/views-client.ts";

import { ViewJobs } from "./view-jobs.ts";

describe("with the test engine", () => {
  let server: TestServer;
  let anna: Client;
  let ben: Client;
  beforeAll(async () => {
    const presets = join(mkdtempSync(join(tmpdir(), "kiln-views-")), "presets.json");
    writeFileSync(
      presets,
      JSON.stringify({
        scenarios: {
          "projection-level-1": { description: "subtle change", strength: 0.35 },
          "projection-level-2": { description: "moderate change", strength: 0.5 },
          "projection-level-3": { description: "pronounced change", strength: 0.65 },
          "always-fails": { description: "[fail]", strength: 0.5 },
        },
        views: {
          regions: ["gluteal", "abdominal"],
          quality: "studio photograph",
          identity: "same person",
          negative: "nudity, blurry",
          rear: "seen from the back",
          side: "seen in profile",
        },
      }),
    );
    server = await startTestServer({
      KILN_LISTEN: "127.0.0.1:0=views",
      KILN_PRESETS: presets,
      KILN_VIEWS_REGISTRATION: "true",
      KILN_TEST_ENGINE_STEP_MS: "25",
    });
    anna = await register(server, "Anna@example.org");
    ben = await register(server, "ben@example.org");
  });
  afterAll(async () => {
    await server.close();
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test("the documented request: a photo becomes two pictures", async () => {
    const created = await anna.create({ region: "gluteal", scenario: "projection-level-2", message: "please keep the light" });
    expect(created).toEqual({
      id: expect.any(Number),
      user: expect.any(Number),
      region: "gluteal",
      scenario: "projection-level-2",
      status: expect.stringMatching(/^(queued|processing)$/),
      message: "please keep the light",
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
      // The first steps may be done before the answer is written.
      progress: expect.toBeOneOf([null, expect.objectContaining({ view: expect.stringMatching(/^(rear|side)$/) })]),
      pose_found: false,
      warnings: ["No ControlNet for poses is installed: the pictures are drawn from the photo alone."],
    });
    const job = await anna.ended(created.id);
    expect(job).toMatchObject({ status: "completed", error: null });
    for (const url of [job.simulation1_url, job.simulation2_url])
      expect(await lookAt(await bytesAt(url))).toMatchObject({ format: "jpeg", width: 256, height: 256 });
    expect((await bytesAt(job.original_image_url)).equals(PHOTO)).toBe(true);

    const keys: string[] = [];
    for (const prefix of ["originals/", "simulations/"])
      for await (const key of server.context.storage.list(prefix)) keys.push(key);
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
    const before = [(await anna.list()).count, await photosKept()];
    const { status, json } = await anna.send("POST", "/api/jobs/", form);
    expect([status, json]).toEqual([400, fields]);
    expect([(await anna.list()).count, await photosKept()]).toEqual(before);
  });

  async function photosKept(): Promise<string[]> {
    const keys: string[] = [];
    for (const prefix of ["originals/", "uploads/"]) for await (const key of server.context.storage.list(prefix)) keys.push(key);
    return keys.sort();
  }

  test("select, favourite, change, remove", async () => {
    const { id } = await anna.create({ message: "the one" });
    await anna.ended(id);
    const select = async (body: object) => await anna.send("POST", `/api/jobs/${id}/select/`, body);
    expect(await select({ selection: "simulation2" })).toMatchObject({
      status: 200,
      json: { selected_simulation: "simulation2" },
    });
    for (const body of [{}, { selection: "simulation3" }, { selection: 1 }, { selection: null }])
      expect(await select(body)).toEqual({ status: 400, json: { selection: [expect.any(String)] } });

    expect(await anna.send("POST", `/api/jobs/${id}/favorite/`)).toMatchObject({ status: 200, json: { is_favorite: true } });
    const favorites = await anna.send("GET", "/api/jobs/favorites/");
    expect(favorites.json).toEqual([expect.objectContaining({ id, is_favorite: true })]);
    expect((await anna.list("?favorites=true")).results.map((job) => job.id)).toEqual([id]);
    expect(await anna.send("POST", `/api/jobs/${id}/favorite/`)).toMatchObject({ json: { is_favorite: false } });
    expect((await anna.send("GET", "/api/jobs/favorites/")).json).toEqual([]);

    for (const method of ["PATCH", "PUT"])
      expect(await anna.send(method, `/api/jobs/${id}/`, { message: `by ${method}`, status: "failed" })).toMatchObject({
        status: 200,
        json: { message: `by ${method}`, status: "completed", selected_simulation: "simulation2" },
      });
    for (const nothing of ["", null]) {
      expect(await anna.send("PATCH", `/api/jobs/${id}/`, { message: nothing })).toMatchObject({ json: { message: "" } });
      expect(await anna.send("PATCH", `/api/jobs/${id}/`, { message: "by PUT" })).toMatchObject({ json: { message: "by PUT" } });
    }
    expect((await anna.list("?search=by+put")).results.map((job) => job.id)).toEqual([id]);
    for (const body of [
      { region: 5 },
      { scenario: [] },
      { message: {} },
      { is_favorite: "perhaps" },
      { selected_simulation: "both" },
    ])
      expect(await anna.send("PATCH", `/api/jobs/${id}/`, body)).toEqual({
        status: 400,
        json: { [Object.keys(body)[0] ?? ""]: [expect.any(String)] },
      });

    const { simulation1_url, original_image_url } = await anna.get(id);
    expect((await anna.send("DELETE", `/api/jobs/${id}/`)).status).toBe(204);
    expect((await anna.send("GET", `/api/jobs/${id}/`)).status).toBe(404);
    for (const url of [simulation1_url, original_image_url]) expect((await fetch(url ?? "")).status).toBe(404);
  });

  test("a job that is removed leaves neither photo nor pictures, also while it is drawn", async () => {
    const before = await photosKept();
    const drawn = await anna.create();
    await anna.ended(drawn.id);
    const open = await anna.create();
    for (const { id } of [drawn, open]) expect((await anna.send("DELETE", `/api/jobs/${id}/`)).status).toBe(204);
    const left = async () => {
      const keys: string[] = [];
      for await (const key of server.context.storage.list("simulations/")) keys.push(key);
      return keys.filter((key) => key.startsWith(`simulations/${drawn.id}_`) || key.startsWith(`simulations/${open.id}_`));
    };
    while ((await server.context.queueCounts()).running + (await server.context.queueCounts()).waiting > 0) await sleep(20);
    await expect.poll(left).toEqual([]);
    expect(await photosKept()).toEqual(before);
  });

  test("old jobs go with their photos and pictures, favourites stay, also those that were drawn anew", async () => {
    const [old, kept] = [await anna.create({ message: "old" }), await anna.create({ message: "kept" })];
    for (const { id } of [old, kept]) await anna.ended(id);
    await anna.send("POST", `/api/jobs/${kept.id}/favorite/`);
    await server.call("POST", "/v1/views/process", { jobs: [kept.id] });
    const url = (await anna.ended(kept.id)).simulation1_url;
    const { json } = await server.call("GET", "/v1/jobs?limit=2&search=kept");
    expect(json).toMatchObject({ jobs: [{ favorite: true }, { favorite: true }] });

    const viewJobs = new ViewJobs(server.context);
    await viewJobs.expire(new Date(Date.now() - 60_000));
    expect((await anna.send("GET", `/api/jobs/${old.id}/`)).status).toBe(200);
    await viewJobs.expire(new Date(Date.now() + 1000));
    expect((await anna.send("GET", `/api/jobs/${old.id}/`)).status).toBe(404);
    expect((await fetch(old.original_image_url)).status).toBe(404);
    expect(await anna.get(kept.id)).toMatchObject({ status: "completed", is_favorite: true });
    for (const address of [url, kept.original_image_url]) expect((await bytesAt(address)).length).toBeGreaterThan(100);
  });

  test("an admin has jobs of any user processed: what has ended is drawn anew, from what it says now", async () => {
    const [first, second] = [await ben.create({ message: "one" }), await anna.create({ message: "two" })];
    const drawn = await ben.ended(first.id);
    await anna.ended(second.id);
    await ben.send("PATCH", `/api/jobs/${first.id}/`, { scenario: "projection-level-3", message: "another" });
    const process = async (jobs: unknown) => await server.call("POST", "/v1/views/process", { jobs });
    expect(await process([first.id, second.id, first.id])).toMatchObject({
      status: 202,
      json: {
        jobs: [
          { id: first.id, status: expect.stringMatching(/^(queued|processing)$/) },
          { id: second.id, status: expect.stringMatching(/^(queued|processing)$/) },
        ],
      },
    });
    const again = await ben.ended(first.id);
    expect(again).toMatchObject({ status: "completed", message: "another", original_image_url: drawn.original_image_url });
    expect(again.simulation1_url).not.toBe(drawn.simulation1_url);
    await anna.ended(second.id);
    const { json } = await server.call("GET", "/v1/jobs?limit=200&search=another");
    const [side, rear] = (json as { jobs: { request: Record<string, unknown> }[] }).jobs.map(({ request }) => request);
    expect(rear).toMatchObject({ prompt: "studio photograph, pronounced change, seen from the back, same person, another" });
    expect(side).toMatchObject({ prompt: "studio photograph, pronounced change, seen in profile, same person, another" });
    expect(rear?.strength).toBe(0.65);
    expect(await lookAt(await bytesAt(again.simulation1_url))).toMatchObject({ format: "jpeg", width: 256, height: 256 });

    for (const jobs of [[], [0], ["1"], [1.5], "all", null, Array(101).fill(first.id)])
      expect(await process(jobs)).toMatchObject({ status: 422, json: { code: "invalid_request", detail: expect.any(String) } });
    expect(await process([first.id, 999_999])).toMatchObject({
      status: 404,
      json: { code: "not_found", detail: "There is no job 999999." },
    });
  });

  test("a user sees their own jobs alone, and pictures open with the job's own key alone", async () => {
    const job = await ben.create();
    const done = await ben.ended(job.id);
    for (const client of [anna, new Client(server)]) {
      for (const [method, path] of [
        ["GET", ""],
        ["PATCH", ""],
        ["DELETE", ""],
        ["POST", "favorite/"],
      ] as const)
        expect(await client.send(method, `/api/jobs/${job.id}/${path}`, method === "GET" ? undefined : {})).toMatchObject({
          status: 404,
          json: { detail: "Not found." },
        });
      expect((await client.list()).results.map(({ id }) => id)).not.toContain(job.id);
    }
    const url = new URL(done.simulation1_url ?? "");
    for (const key of ["", "0".repeat(32), "x"]) {
      url.searchParams.set("key", key);
      expect((await fetch(url)).status).toBe(404);
    }
    for (const id of ["0", "-1", "1e3", "99999999999999999999", "x", "%20"])
      expect((await ben.send("GET", `/api/jobs/${id}/`)).status).toBe(404);
  });

  test("pages, history and filters", async () => {
    const dora = await register(server, "dora@example.org");
    const ids: number[] = [];
    for (let index = 0; index < 12; index++)
      ids.push(
        (
          await dora.create({
            message: index === 3 ? "Unusual 100% words" : `number ${index}`,
            scenario: index === 5 ? "always-fails" : "projection-level-1",
          })
        ).id,
      );
    const newest = ids.toReversed();
    const first = await dora.list();
    expect(first).toMatchObject({ count: 12, previous: null, next: `${server.url}/api/jobs/?page=2` });
    expect(first.results.map(({ id }) => id)).toEqual(newest.slice(0, 10));
    const second = (await (await fetch(first.next ?? "", { headers: { authorization: `Token ${dora.token}` } })).json()) as Page;
    expect(second).toMatchObject({ count: 12, next: null, previous: `${server.url}/api/jobs/` });
    expect(second.results.map(({ id }) => id)).toEqual(newest.slice(10));
    const history = await dora.send("GET", "/api/jobs/history/?search=number");
    expect(history.json).toMatchObject({ count: 11, next: `${server.url}/api/jobs/history/?search=number&page=2` });

    for (const id of ids.filter((_, index) => index !== 5)) await dora.ended(id);
    const found = async (query: string) => (await dora.list(query)).results.map(({ id }) => id);
    expect(await found("?search=UNUSUAL 100%25 w")).toEqual([ids[3]]);
    expect(await found("?search=%25")).toEqual([ids[3]]);
    expect((await dora.list("?status=completed")).count).toBe(11);
    expect(await found("?status=failed")).toEqual([]);
    const today = new Date().toISOString().slice(0, 10);
    expect((await dora.list(`?date_from=${today}&date_to=${today}`)).count).toBe(12);
    expect((await dora.list("?date_from=2100-01-01")).count).toBe(0);
    expect((await dora.list("?date_to=2020-01-01T10:00:00Z")).count).toBe(0);
    expect((await dora.list("?status=&search=&page=")).count).toBe(12);

    for (const [query, field] of [
      ["status=cooking", "status"],
      ["date_from=yesterday", "date_from"],
      ["date_to=2024-13-45", "date_to"],
      ["date_from=0000-02-29", "date_from"],
      ["date_to=9999-12-31", "date_to"],
      ["favorites=perhaps", "favorites"],
      ["search=a&search=b", "search"],
      ["search=%ed%a0%80", ""],
    ]) {
      const { status, json } = await dora.send("GET", `/api/jobs/?${query}`);
      if (field) expect([status, json]).toEqual([400, { [field]: [expect.any(String)] }]);
      else expect(status).toBe(200);
    }
    for (const page of ["0", "3", "x", "1.5", "99999999999"])
      expect(await dora.send("GET", `/api/jobs/?page=${page}`)).toMatchObject({ status: 404, json: { detail: "Invalid page." } });
  });

  test("a job that fails is tried once more after 30 s, and then it is failed", async () => {
    const { id } = await anna.create({ scenario: "always-fails" });
    const tries = async () => {
      const { json } = await server.call("GET", "/v1/jobs?limit=200&search=%5Bfail%5D");
      const keys = (json as { jobs: { status: string; request: { output: { key: string } } }[] }).jobs;
      return keys.filter(({ request, status }) => request.output.key.startsWith(`simulations/${id}_`) && status === "failed")
        .length;
    };
    while ((await tries()) < 2) await sleep(20);
    expect(await anna.get(id)).toMatchObject({ status: "queued", error: null });
    const now = Date.now();
    vi.spyOn(Date, "now").mockImplementation(() => now + 31_000);
    await anna.get(id);
    const job = await anna.ended(id);
    expect(job).toMatchObject({ status: "failed", error: "The UNet's output holds NaN.", simulation1_url: null });
    expect(await tries()).toBe(4);

    // Processed by hand it has two tries again; the rows of the last two have gone.
    vi.restoreAllMocks();
    expect((await server.call("POST", "/v1/views/process", { jobs: [id] })).status).toBe(202);
    while ((await tries()) < 4) await sleep(20);
    expect(await anna.get(id)).toMatchObject({ status: "queued", error: null });
  });

  test("a record that a process left behind while it accepted a job ends as failed", async () => {
    const { documents } = server.context;
    const whole = await documents.get("views_jobs", (await anna.create()).id);
    const half = await documents.insert("views_jobs", whole?.owner ?? "", {
      ...whole?.data,
      parts: null,
      open: true,
      status: "queued",
    });
    expect(await anna.get(half.id)).toMatchObject({ status: "queued" });
    const now = Date.now();
    vi.spyOn(Date, "now").mockImplementation(() => now + 61_000);
    expect(await anna.get(half.id)).toMatchObject({ status: "failed", error: expect.stringContaining("send it again") });
    expect((await anna.send("DELETE", `/api/jobs/${half.id}/`)).status).toBe(204);
  });

  test("the socket tells what happens to the caller's jobs", async () => {
    const listen = async (client: Client) => {
      const socket = await openSocket(`${server.url}/ws/jobs/?token=${client.token}`);
      while (socket.messages.length === 0) await sleep(5);
      return { messages: socket.messages as { type: string; job?: Job }[], close: socket.close };
    };
    const [own, other] = await Promise.all([listen(anna), listen(ben)]);
    expect(own.messages[0]).toEqual({ type: "connection_established" });
    const { id } = await anna.create();
    const last = () => own.messages.findLast(({ type }) => type === "job_update")?.job;
    while (last()?.status !== "completed") await sleep(10);
    expect(last()).toMatchObject({
      id,
      status: "completed",
      simulation1_url: expect.any(String),
      simulation2_url: expect.any(String),
    });
    const progress = own.messages.filter(({ type }) => type === "progress_update");
    expect(progress.length).toBeGreaterThan(0);
    for (const message of progress)
      expect(message).toEqual({
        type: "progress_update",
        job_id: id,
        progress: {
          view: expect.stringMatching(/^(rear|side)$/),
          step: expect.any(Number),
          total_steps: 4,
          percentage: expect.any(Number),
        },
      });
    await anna.send("POST", `/api/jobs/${id}/select/`, { selection: "simulation1" });
    while (last()?.selected_simulation !== "simulation1") await sleep(10);
    expect(other.messages).toHaveLength(1);
    own.close();
    other.close();
    expect(await anna.send("GET", "/ws/jobs/")).toEqual({ status: 400, json: { detail: expect.stringContaining("WebSocket") } });
  });

  test("where the operator allows it, anybody registers, although a key exists", async () => {
    const { view } = await server.context.keys.create({ name: "test", role: "admin" });
    try {
      const emil = await register(server, "emil@example.org");
      expect(await emil.send("GET", "/api/jobs/")).toMatchObject({ status: 200, json: { count: 0 } });
      expect((await new Client(server).send("GET", "/api/jobs/")).status).toBe(401);
    } finally {
      await server.context.keys.revoke(view.id);
    }
  });
});

describe.skipIf(!REFERENCE_FOLDER)("with a ControlNet for poses", () => {
  test("two real pictures of a photo, with a white control image or with a skeleton", async () => {
    const server = await startTestServer({
      KILN_LISTEN: "127.0.0.1:0=views",
      KILN_ENGINE: "diffusion",
      MODELS_DIR: REFERENCE_FOLDER ?? "",
      KILN_DEFAULT_MODEL: "tiny-xl",
    });
    try {
      const client = await register(server, "anna@example.org");
      const created = [await client.create(), await client.create({}, PHOTO, SKELETON)];
      const [plain, posed] = [await client.ended(created[0]?.id ?? 0), await client.ended(created[1]?.id ?? 0)];
      expect(plain).toMatchObject({
        status: "completed",
        pose_found: false,
        warnings: [expect.stringContaining("No pose was found")],
      });
      expect(posed).toMatchObject({ status: "completed", pose_found: true, warnings: [] });
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
});
