import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadSettings, type RunningServer, startServer } from "@kiln/server";

const PAGE = fileURLToPath(new URL("..", import.meta.url));
const MODELS = process.env.MODELS_DIR ?? fileURLToPath(new URL("../../../models", import.meta.url));

/** Slow enough that a browser sees the steps of the test engine. */
const STEP_MILLISECONDS = 40;

export interface Service {
  readonly url: string;
  /** True when pictures come from the demo checkpoint, and so with previews; else from the test engine, which draws flat ones. */
  readonly draws: boolean;
  stop(): Promise<void>;
  /** After a stop: the same service again, on the same port and data. */
  restart(): Promise<void>;
  /** Stops for good and removes the data. */
  end(): Promise<void>;
}

/** Builds the page and starts the whole service that serves it, with a folder of its own for its data. */
export async function startService(settings: Readonly<Record<string, string>> = {}): Promise<Service> {
  // As a command of its own: in a test's environment the build would bring the development version of React.
  execFileSync("npm", ["run", "build"], { cwd: PAGE, env: { ...process.env, NODE_ENV: "production" }, stdio: "pipe" });
  const draws = existsSync(join(MODELS, "kiln-demo", "model_index.json"));
  const folder = mkdtempSync(join(tmpdir(), "kiln-page-"));
  const start = (port: string): Promise<RunningServer> =>
    startServer(
      loadSettings(
        {
          KILN_LISTEN: `127.0.0.1:${port}=native`,
          KILN_DATA_DIR: folder,
          KILN_DRAIN_SECONDS: "1",
          LOG_LEVEL: process.env.KILN_TEST_LOG ?? "silent",
          MODELS_DIR: MODELS,
          ...(draws ? {} : { KILN_ENGINE: "test", KILN_TEST_ENGINE_STEP_MS: String(STEP_MILLISECONDS) }),
          ...settings,
        },
        folder,
      ),
    );
  let server: RunningServer | undefined = await start("0");
  const url = server.listeners[0]?.url ?? "";
  const stop = async (): Promise<void> => {
    await server?.close();
    server = undefined;
  };
  return {
    url,
    draws,
    stop,
    async restart() {
      server = await start(new URL(url).port);
    },
    async end() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
