import { expect, test } from "vitest";
import { startTestServer } from "../testing/start-test-server.ts";
import { deviceSchema, devicesSchema } from "./devices.ts";

test.each(["auto", "cpu", "webgpu", "cuda", "cuda:0", "cuda:12"])("%s is a device", (name) => {
  expect(deviceSchema.parse(name)).toBe(name);
});

test.each(["gpu", "cuda:", "cuda:x", "cuda:100", "cpu:1", ""])('"%s" is none', (name) => {
  expect(deviceSchema.safeParse(name).success).toBe(false);
});

test("several are named by commas, each once", () => {
  expect(devicesSchema.parse("cuda:0, cuda:1")).toEqual(["cuda:0", "cuda:1"]);
  expect(devicesSchema.safeParse("cuda:0,cuda:0").success).toBe(false);
  expect(devicesSchema.safeParse("cuda:0,").success).toBe(false);
});

test("each device has an engine and a worker of its own, and all take jobs from one queue", async () => {
  const server = await startTestServer({ KILN_DEVICES: "cuda:0,cuda:1" });
  try {
    expect(await server.context.workers.alive()).toHaveLength(2);
    const jobs = await Promise.all(
      [1, 2, 3, 4].map((seed) => server.call("POST", "/v1/jobs", { prompt: "two devices", steps: 1, seed })),
    );
    expect(jobs.map(({ status }) => status)).toEqual([202, 202, 202, 202]);
  } finally {
    await server.close();
  }
});
