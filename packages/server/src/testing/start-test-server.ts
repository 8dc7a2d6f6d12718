import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { type RunningServer, startServer } from "../server.ts";
import { loadSettings } from "../settings/load.ts";

export interface TestServer extends RunningServer {
  /** The first listener's address. */
  url: string;
  dataDir: string;
  /** A request to the first listener; a body that is an object goes as JSON. */
  call(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; headers: Headers; json: unknown }>;
}

/** A whole server on a free port with the test engine and a folder of its own, which is removed with it. */
export async function startTestServer(
  settings: Record<string, string> = {},
  dataDir = mkdtempSync(join(tmpdir(), "kiln-test-")),
): Promise<TestServer> {
  const environment = {
    KILN_LISTEN: "127.0.0.1:0=native",
    KILN_ENGINE: "test",
    KILN_TEST_ENGINE_STEP_MS: "1",
    KILN_DATA_DIR: dataDir,
    KILN_DRAIN_SECONDS: "1",
    ...settings,
  };
  const log = pino({ level: process.env.KILN_TEST_LOG ?? "silent" });
  const server = await startServer(loadSettings(environment, dataDir), { log });
  const url = server.listeners[0]?.url ?? "";
  return {
    ...server,
    url,
    dataDir,
    async call(method, path, body, headers = {}) {
      const sent = body === undefined ? {} : { body: JSON.stringify(body) };
      const type: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" };
      const response = await fetch(url + path, { method, ...sent, headers: { ...type, ...headers } });
      const text = await response.text();
      return {
        status: response.status,
        headers: response.headers,
        json: text === "" ? undefined : (JSON.parse(text) as unknown),
      };
    },
    async close() {
      await server.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
