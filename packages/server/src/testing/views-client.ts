import { setTimeout as sleep } from "node:timers/promises";
import sharp from "sharp";
import { expect } from "vitest";
import type { TestServer } from "./start-test-server.ts";

export interface Job {
  id: number;
  user: number;
  status: string;
  original_image_url: string;
  simulation1_url: string | null;
  simulation2_url: string | null;
  is_favorite: boolean;
  selected_simulation: string | null;
  message: string;
  scenario: string;
  error: string | null;
  warnings: string[];
  pose_found: boolean;
  created_at: string;
}

export interface Page {
  count: number;
  next: string | null;
  previous: string | null;
  results: Job[];
}

/** The documented client: logs in, and sends `Authorization: Token ...` from then on. */
export class Client {
  readonly server: TestServer;
  readonly token: string | undefined;

  constructor(server: TestServer, token?: string) {
    this.server = server;
    this.token = token;
  }

  async send(method: string, path: string, body?: object, host = this.server.url): Promise<{ status: number; json: unknown }> {
    const form = body instanceof FormData;
    const headers: Record<string, string> = {
      ...(this.token === undefined ? {} : { authorization: `Token ${this.token}` }),
      ...(body && !form ? { "content-type": "application/json" } : {}),
    };
    const sent = body === undefined ? {} : { body: form ? body : JSON.stringify(body) };
    const response = await fetch(host + path, { method, headers, ...sent });
    const text = await response.text();
    return { status: response.status, json: text === "" ? undefined : JSON.parse(text) };
  }

  async create(fields: Record<string, string> = {}, photo = PHOTO, pose?: Buffer): Promise<Job> {
    const { status, json } = await this.send("POST", "/api/jobs/", formOf(fields, photo, pose));
    if (status !== 201) throw new Error(`${status}: ${JSON.stringify(json)}`);
    return json as Job;
  }

  async get(id: number): Promise<Job> {
    const { status, json } = await this.send("GET", `/api/jobs/${id}/`);
    expect(status).toBe(200);
    return json as Job;
  }

  async ended(id: number): Promise<Job> {
    for (;;) {
      const job = await this.get(id);
      if (job.status === "completed" || job.status === "failed") return job;
      expect(["queued", "processing"]).toContain(job.status);
      await sleep(50);
    }
  }

  async list(query = ""): Promise<Page> {
    const { status, json } = await this.send("GET", `/api/jobs/${query}`);
    expect(status).toBe(200);
    return json as Page;
  }
}

export function formOf(fields: Record<string, string>, photo?: Buffer, pose?: Buffer): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  if (photo) form.set("original_image", new Blob([new Uint8Array(photo)], { type: "image/jpeg" }), "My photo (1).jpg");
  if (pose) form.set("pose", new Blob([new Uint8Array(pose)]), "pose.png");
  return form;
}

export async function bytesAt(url: string | null): Promise<Buffer> {
  // No token: this is what an <img> of the application's page does.
  const response = await fetch(url ?? "");
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

export async function register(server: TestServer, email: string): Promise<Client> {
  const { status, json } = await new Client(server).send("POST", "/api/auth/register", { email, password: "correct horse" });
  if (status !== 201) throw new Error(`${status}: ${JSON.stringify(json)}`);
  return new Client(server, (json as { token: string }).token);
}

const noise = { type: "gaussian", mean: 140, sigma: 40 } as const;
export const PHOTO = await sharp({ create: { width: 90, height: 120, channels: 3, background: "#888", noise } })
  .jpeg()
  .toBuffer();
export const SKELETON = await sharp(
  Buffer.from(
    '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="120"><rect width="90" height="120"/><path d="M45 20V70L30 110M45 70L60 110" stroke="#0f0" stroke-width="4" fill="none"/></svg>',
  ),
)
  .png()
  .toBuffer();
