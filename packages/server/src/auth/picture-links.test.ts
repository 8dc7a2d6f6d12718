import OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../testing/start-test-server.ts";
import { PictureLinks } from "./picture-links.ts";

let server: TestServer;
let key: string;
let other: string;
beforeAll(async () => {
  server = await startTestServer({ KILN_LISTEN: "127.0.0.1:0=queue" });
  const create = async (name: string, role: string) => {
    const headers: Record<string, string> = key === undefined ? {} : { authorization: `Bearer ${key}` };
    return ((await server.call("POST", "/v1/keys", { name, role }, headers)).json as { key: string }).key;
  };
  key = await create("first", "admin");
  other = await create("second", "user");
});
afterAll(async () => {
  await server.close();
});

const status = async (url: string, headers: Record<string, string> = {}) => (await fetch(url, { headers })).status;

test("OpenAI's client gets a link that opens without a header, for this picture and no other", async () => {
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: key });
  const make = async () => (await client.images.generate({ prompt: "a boat", response_format: "url" })).data?.[0]?.url ?? "";
  const [first, second] = [await make(), await make()];
  const opened = await fetch(first);
  expect([opened.status, opened.headers.get("content-type")]).toEqual([200, "image/png"]);
  const bare = first.split("?")[0] ?? "";
  expect(await status(bare)).toBe(401);
  expect(await status(bare, { authorization: `Bearer ${key}` })).toBe(200);
  expect(await status(`${second.split("?")[0]}?${first.split("?")[1]}`)).toBe(401);
  const { searchParams } = new URL(first);
  const later = String(Number(searchParams.get("expires")) + 1);
  expect(await status(`${bare}?expires=${later}&signature=${searchParams.get("signature")}`)).toBe(401);
  expect(await status(`${bare}?expires=${searchParams.get("expires")}&signature=`)).toBe(401);
  // What it opens is the picture alone.
  expect(await status(`${server.url}/v1/jobs?${searchParams}`)).toBe(401);
  // Another key does not see the picture, with the link it does, as anybody.
  expect(await status(bare, { authorization: `Bearer ${other}` })).toBe(404);
  expect(await status(first, { authorization: `Bearer ${other}` })).toBe(200);
});

test("the queue's client gets such links for picture and thumbnail", async () => {
  const headers = { authorization: `Bearer ${key}` };
  const body = { girl_id: "anna", user_id: 1, prompt: "a boat" };
  const { job_id } = (await server.call("POST", "/generate", body, headers)).json as { job_id: string };
  for (;;) {
    const { json } = await server.call("GET", `/status/${job_id}`, undefined, headers);
    const { status: state, image_url, thumbnail_url } = json as Record<string, string>;
    if (state === "failed") throw new Error(JSON.stringify(json));
    if (state !== "completed") continue;
    expect([await status(image_url ?? ""), await status(thumbnail_url ?? "")]).toEqual([200, 200]);
    expect(await status((thumbnail_url ?? "").replace("/thumbnail", ""))).toBe(401);
    break;
  }
});

test("a link holds as long as it says, and none is signed where no key is needed or the operator wants none", async () => {
  const secret = Buffer.alloc(32, 7);
  const links = new PictureLinks(secret, 60, async () => true);
  const url = await links.sign("/v1/images/img_1");
  expect(links.holds(url)).toBe(true);
  expect(new PictureLinks(Buffer.alloc(32, 8), 60, async () => true).holds(url)).toBe(false);
  expect(links.holds(await new PictureLinks(secret, -1, async () => true).sign("/v1/images/img_1"))).toBe(false);
  expect(links.holds("/v1/images/img_1")).toBe(false);
  expect(await new PictureLinks(secret, 60, async () => false).sign("/x")).toBe("/x");
  expect(await new PictureLinks(secret, 0, async () => true).sign("/x")).toBe("/x");
});
