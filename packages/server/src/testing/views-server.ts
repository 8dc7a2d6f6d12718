import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTestServer, type TestServer } from "./start-test-server.ts";

/** An operator's own texts, and a scenario whose pictures always fail. */
const PRESETS = {
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
};

/** The longest step of the test engine: what is drawn with it is not done while a test looks at it. */
export const SLOWEST = { KILN_TEST_ENGINE_STEP_MS: "60000" };

/** A server of the views dialect at which anybody may register. */
export async function startViewsServer(settings: Record<string, string> = {}): Promise<TestServer> {
  const dataDir = mkdtempSync(join(tmpdir(), "kiln-views-"));
  writeFileSync(join(dataDir, "presets.json"), JSON.stringify(PRESETS));
  return await startTestServer({ KILN_LISTEN: "127.0.0.1:0=views", KILN_VIEWS_REGISTRATION: "true", ...settings }, dataDir);
}

/** What the storage holds under any of these beginnings of a key, in order. */
export async function keysUnder({ context }: TestServer, ...beginnings: string[]): Promise<string[]> {
  const keys: string[] = [];
  for (const beginning of beginnings) for await (const key of context.storage.list(beginning)) keys.push(key);
  return keys.sort();
}
