import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openSocket } from "../../testing/open-socket.ts";
import type { TestServer } from "../../testing/start-test-server.ts";
import { type Client, type Job, register } from "../../testing/views-client.ts";
import { startViewsServer } from "../../testing/views-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startViewsServer();
});
afterAll(async () => {
  await server.close();
});

test("the socket tells what happens to the caller's jobs", async () => {
  const [anna, ben] = [await register(server, "anna@example.org"), await register(server, "ben@example.org")];
  const [own, other] = [await listen(anna), await listen(ben)];
  expect(own.messages[0]).toEqual({ type: "connection_established" });
  const { id } = await anna.create();
  const last = () => own.messages.findLast(({ type }) => type === "job_update")?.job;
  while (last()?.status !== "completed") await sleep(10);
  const pictures = { simulation1_url: expect.any(String), simulation2_url: expect.any(String) };
  expect(last()).toMatchObject({ id, status: "completed", ...pictures });
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
  expect(other.messages).toEqual([{ type: "connection_established" }]);
  own.close();
  other.close();
  expect(await anna.send("GET", "/ws/jobs/")).toEqual({ status: 400, json: { detail: expect.stringContaining("WebSocket") } });
});

test("pictures that are drawn before their job's record knows them are told of too", async () => {
  const carla = await register(server, "carla@example.org");
  const own = await listen(carla);
  const { documents, queueCounts } = server.context;
  const update = documents.update.bind(documents);
  const late = vi.spyOn(documents, "update").mockImplementation(async (...record) => {
    for (let counts = await queueCounts(); counts.running + counts.waiting > 0; counts = await queueCounts()) await sleep(10);
    return await update(...record);
  });
  const { id } = await carla.create();
  late.mockRestore();
  while (!own.messages.some(({ job }) => job?.id === id && job.status === "completed")) await sleep(10);
  own.close();
});

async function listen({ token }: Client): Promise<{ messages: Message[]; close(): void }> {
  const { messages, close } = await openSocket(`${server.url}/ws/jobs/?token=${token}`);
  while (messages.length === 0) await sleep(5);
  return { messages: messages as Message[], close };
}

interface Message {
  type: string;
  job?: Job;
}
