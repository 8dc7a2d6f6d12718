/**
 * Kills parts of the service at random moments, round after round, and looks whether anything was lost.
 *
 *   npm run build && node packages/server/dist/testing/soak-faults.js \
 *     [--backend embedded|postgres|redis] [--rounds 5] [--seed 1] [--jobs 200]
 *
 * A round is a service of its own on an empty database: jobs are sent while an engine, a worker, a gateway or the queue's server
 * is killed with SIGKILL and started again. It prints one line, and ends with code 1 when an acknowledged job did not end, ended
 * otherwise than with its picture or a stated failure, or changed after its end, when usage counts other pictures than there
 * are, or when a process outlived the service. The moments come from the seed, what the machine does in them does not.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { BACKENDS, type BackendName, Deployment } from "./deployment.ts";
import { inspect, settle } from "./ended-jobs.ts";
import { submitMany } from "./send-jobs.ts";

const { values } = parseArgs({
  options: {
    backend: { type: "string" },
    rounds: { type: "string", default: "5" },
    seed: { type: "string", default: "1" },
    jobs: { type: "string", default: "200" },
  },
});
const chosen = BACKENDS.filter((name) => values.backend === undefined || name === values.backend);
if (chosen.length === 0) throw new Error(`--backend is one of ${BACKENDS.join(", ")}`);

/** How far apart kills are, in seconds: from one in the middle of the recovery from the last to one long after it. */
const LONGEST_PAUSE_SECONDS = 3;
const KILLS = { least: 2, most: 5 };

/** mulberry32: small, and the same everywhere. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What a dead gateway did not acknowledge is sent again. */
async function submitUntil(count: number, deployment: Deployment, acknowledged: Set<string>): Promise<void> {
  while (acknowledged.size < count) await submitMany(() => deployment.url, count - acknowledged.size, acknowledged);
}

async function killAtRandom(deployment: Deployment, random: () => number): Promise<string[]> {
  const kills: string[] = [];
  const count = KILLS.least + Math.floor(random() * (KILLS.most - KILLS.least + 1));
  const since = performance.now();
  for (let index = 0; index < count; index++) {
    await sleep(random() * LONGEST_PAUSE_SECONDS * 1000);
    const part = deployment.parts[Math.floor(random() * deployment.parts.length)];
    if (!part) continue;
    kills.push(`${part} ${((performance.now() - since) / 1000).toFixed(1)}`);
    await deployment.killAndReplace(part, random() * 1000);
  }
  return kills;
}

async function runRound(backend: BackendName, seed: number, jobs: number): Promise<boolean> {
  const random = randomFrom(seed);
  const folder = mkdtempSync(join(tmpdir(), "kiln-soak-"));
  const since = performance.now();
  const deployment = await Deployment.start(backend, folder);
  const acknowledged = new Set<string>();
  let kills: string[] = [];
  const troubles: string[] = [];
  let counts = "";
  try {
    const sending = submitUntil(jobs, deployment, acknowledged);
    kills = await killAtRandom(deployment, random);
    await sending;
    const first = await settle(deployment.url, acknowledged);
    const found = await inspect(deployment.url, acknowledged, first);
    counts = found.counts;
    troubles.push(...found.troubles);
  } catch (error) {
    troubles.push(error instanceof Error ? error.message : String(error));
  }
  troubles.push(...(await deployment.stop()));
  rmSync(folder, { recursive: true, force: true });
  const seconds = ((performance.now() - since) / 1000).toFixed(0);
  const verdict = troubles.length === 0 ? "ok" : `TROUBLE: ${troubles.join("; ")}`;
  const load = (loadavg()[0] ?? 0).toFixed(1);
  process.stdout.write(
    `${backend} seed ${seed}: ${counts}, kills [${kills.join(", ")}], ${seconds} s, load ${load}: ${verdict}\n`,
  );
  return troubles.length === 0;
}

let sound = true;
for (let round = 0; round < Number(values.rounds); round++)
  for (const backend of chosen) sound = (await runRound(backend, Number(values.seed) + round, Number(values.jobs))) && sound;
process.exit(sound ? 0 : 1);
