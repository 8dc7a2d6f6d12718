/**
 * Measures the start: from `npm start` to the page, to its script, to a service that is ready, and to a first picture.
 *
 *   npm run build && node bench/start.mjs [--repeats 3] [--direct]
 *
 * Every start uses the same data folder, which a start before has made: these are second starts. `--direct` leaves npm out.
 * CPU seconds are of all processes of the start, children that have ended included.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { get, request } from "node:http";
import { createServer } from "node:net";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: { repeats: { type: "string", default: "3" }, direct: { type: "boolean", default: false } },
});
const root = fileURLToPath(new URL("..", import.meta.url));
/** Linux counts CPU time in hundredths of a second. */
const TICKS_A_SECOND = 100;
const POLL_MILLISECONDS = 10;
const GIVE_UP_MILLISECONDS = 120_000;

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => probe.once("listening", resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** CPU seconds of a process group so far. */
function cpuOf(group) {
  let ticks = 0;
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (Number(fields[2]) === group) for (const field of fields.slice(11, 15)) ticks += Number(field);
    } catch {
      // It has ended.
    }
  }
  return ticks / TICKS_A_SECOND;
}

function fetchText(port, path, accept) {
  return new Promise((resolve) => {
    const call = get({ host: "127.0.0.1", port, path, headers: { accept } }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (chunk) => {
        text += chunk;
      });
      answer.on("end", () => resolve({ status: answer.statusCode, text }));
    });
    call.on("error", () => resolve({ status: 0, text: "" }));
  });
}

async function until(child, port, path, accept) {
  const giveUp = performance.now() + GIVE_UP_MILLISECONDS;
  while (performance.now() < giveUp) {
    if (child.exitCode !== null) throw new Error(`npm start ended with ${child.exitCode}`);
    const { status, text } = await fetchText(port, path, accept);
    if (status === 200) return text;
    await sleep(POLL_MILLISECONDS);
  }
  throw new Error(`${path} was not there after ${GIVE_UP_MILLISECONDS} ms`);
}

/** Draws a picture of one step by the Images API and waits for it. */
function draw(port) {
  return new Promise((resolve, reject) => {
    const body = JSON.stringify({ prompt: "a red house", size: "256x256", steps: 1 });
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const call = request({ host: "127.0.0.1", port, path: "/v1/images/generations", method: "POST", headers }, (answer) => {
      answer
        .resume()
        .on("end", () => (answer.statusCode === 200 ? resolve() : reject(new Error(`answered ${answer.statusCode}`))));
    });
    call.on("error", reject);
    call.end(body);
  });
}

async function start(folder) {
  const port = await freePort();
  const begin = performance.now();
  const [command, ...args] = options.direct ? [process.execPath, "scripts/start.mjs"] : ["npm", "start", "--silent", "--"];
  const child = spawn(command, [...args, "--port", String(port), "--data", folder], {
    cwd: root,
    detached: true,
    stdio: "ignore",
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const row = {};
  const note = (what) => {
    row[`${what}_ms`] = Math.round(performance.now() - begin);
    row[`${what}_cpu_s`] = cpuOf(child.pid);
  };
  try {
    const html = await until(child, port, "/", "text/html");
    note("page");
    await until(child, port, /src="(\/assets\/[^"]+)"/.exec(html)[1], "*/*");
    note("script");
    await until(child, port, "/readyz", "*/*");
    note("ready");
    await draw(port);
    note("picture");
  } finally {
    if (child.exitCode === null) process.kill(-child.pid, "SIGINT");
    await ended;
  }
  return row;
}

const folder = mkdtempSync(join(tmpdir(), "kiln-start-"));
try {
  await start(folder);
  const rows = [];
  console.log(`${cpus()[0]?.model.trim()}, ${cpus().length} cores, load ${loadavg()[0].toFixed(1)}`);
  for (let index = 0; index < Number(options.repeats); index++) rows.push(await start(folder));
  console.table(rows);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
