import { readFileSync } from "node:fs";
import { platform } from "node:os";
import { expect, test } from "vitest";
import { cleanups, folder } from "./testing/faults.ts";
import { startServerProcess } from "./testing/server-process.ts";

test.skipIf(platform() !== "linux")("no inference library is loaded into the gateway's process", async () => {
  const server = await startServerProcess({ KILN_DATA_DIR: folder(), KILN_ENGINE: "diffusion", MODELS_DIR: folder() });
  cleanups.push(() => server.kill());
  expect((await fetch(`${server.url}/v1/models`)).status).toBe(200);
  const mapped = readFileSync(`/proc/${server.pid}/maps`, "utf8");
  expect(mapped).toContain("node"); // or nothing was read
  expect(mapped).not.toMatch(/onnxruntime|koffi|openvino/);
});
