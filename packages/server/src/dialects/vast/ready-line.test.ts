import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startTestServer } from "../../testing/start-test-server.ts";

test("a PyWorker of Vast.ai's own, in front of the depth listener, finds its line without WORKER_PORT", async () => {
  const folder = mkdtempSync(join(tmpdir(), "kiln-ready-"));
  const MODEL_LOG = join(folder, "model.log");
  const server = await startTestServer({ KILN_LISTEN: "127.0.0.1:0=depth", MODEL_LOG });
  try {
    const read = () => {
      try {
        return readFileSync(MODEL_LOG, "utf8");
      } catch {
        return "";
      }
    };
    await expect.poll(read).toBe("Kiln model server ready\n");
  } finally {
    await server.close();
    rmSync(folder, { recursive: true });
  }
});
