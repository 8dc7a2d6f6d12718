// Memory of the gateway over 10,000 jobs of the test engine, which draws flat pictures: what grows here grows with requests.
// usage: node bench/gateway-memory.mjs [--jobs 10000] [--together 32]     (after a build; embedded database and queue)
// Prints resident memory after each tenth, and fails when the second half's median is more than a tenth above the first's.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { percentile } from "./percentile.mjs";

const { values } = parseArgs({
  options: { jobs: { type: "string", default: "10000" }, together: { type: "string", default: "32" } },
});
const jobs = Number(values.jobs);
const together = Number(values.together);
/** Growth of the second half that counts as a leak: below is the garbage collector's own breathing. */
const GROWTH = 0.1;

const folder = mkdtempSync(join(tmpdir(), "kiln-memory-"));
const port = await freePort();
const url = `http://127.0.0.1:${port}`;
const server = spawn(process.execPath, [fileURLToPath(new URL("../packages/cli/bin/kiln.mjs", import.meta.url)), "serve"], {
  env: {
    ...process.env,
    KILN_DATA_DIR: folder,
    KILN_LISTEN: `127.0.0.1:${port}=native`,
    KILN_ENGINE: "test",
    KILN_TEST_ENGINE_STEP_MS: "0",
    KILN_SLOTS: "16",
    LOG_LEVEL: "error",
  },
  stdio: ["ignore", "ignore", "inherit"],
});
const ended = new Promise((resolve) => server.once("exit", resolve));
try {
  for (let tries = 0; tries < 600 && !(await ready()); tries++) await sleep(100);
  const measured = [];
  let next = 0;
  const started = performance.now();
  const client = async () => {
    while (next < jobs) {
      const index = next++;
      await draw(index);
      if ((index + 1) % Math.ceil(jobs / 10) !== 0) continue;
      measured.push(resident());
      console.log(`${index + 1} jobs: ${Math.round(measured.at(-1) / 2 ** 20)} MiB`);
    }
  };
  await Promise.all(Array.from({ length: together }, client));
  const seconds = (performance.now() - started) / 1000;
  const half = Math.floor(measured.length / 2);
  const growth = percentile(measured.slice(half), 0.5) / percentile(measured.slice(0, half), 0.5) - 1;
  console.log(`${Math.round(jobs / seconds)} jobs a second; the second half grew by ${(growth * 100).toFixed(1)}%`);
  process.exitCode = growth > GROWTH ? 1 : 0;
} finally {
  server.kill("SIGTERM");
  await ended;
  rmSync(folder, { recursive: true, force: true });
}

/** One job as clients make them: created, followed to its end, its picture fetched now and then. */
async function draw(index) {
  const body = JSON.stringify({ prompt: `job ${index} ${"a hill ".repeat(index % 80)}`, steps: 1, width: 64, height: 64 });
  const created = await fetch(`${url}/v1/jobs`, { method: "POST", body, headers: { "content-type": "application/json" } });
  if (created.status !== 202) throw new Error(`a job was answered ${created.status}: ${await created.text()}`);
  const { id } = await created.json();
  await (await fetch(`${url}/v1/jobs/${id}/events`)).text();
  if (index % 10 === 0) await (await fetch(`${url}/v1/jobs/${id}/result`)).arrayBuffer();
}

function resident() {
  const [, kibibytes = "0"] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${server.pid}/status`, "utf8")) ?? [];
  return Number(kibibytes) * 1024;
}

async function ready() {
  return await fetch(`${url}/readyz`).then(
    ({ ok }) => ok,
    () => false,
  );
}

async function freePort() {
  const probe = createServer();
  await new Promise((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port: free } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return free;
}

/** Of an even number the higher one in the middle. A single high measurement is garbage that was about to be collected. */
