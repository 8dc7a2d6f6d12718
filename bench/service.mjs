/**
 * Measures the service around the engine, over HTTP, from a process of its own.
 *
 *   npm run build && node bench/service.mjs [--only queue,overhead,batching,urgent] [--jobs 3000] [--rounds 3] [--json]
 *
 * queue     accepted jobs a second, and from the request to the first step, on each queue backend (test engine)
 * overhead  what the service adds to a picture at rest: the whole way against the engine process alone (test engine)
 * batching  pictures a minute of the demo checkpoint under 16 clients: KILN_SLOTS jobs in a batch against one at a time
 * urgent    how long an urgent job waits while the demo checkpoint is busy with 16 clients
 * (bench/gateway-memory.mjs has the memory of the gateway over 10,000 jobs.)
 *
 * PostgreSQL and Redis are started where they are installed. Client, service, engine and database share the machine's cores.
 */
import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, request as httpRequest } from "node:http";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import WebSocket from "ws";
import { findModels, LocalEngine } from "../packages/server/dist/measure/local-engine.js";
import { loadSettings } from "../packages/server/dist/settings/load.js";
import { startPostgres, startRedis } from "../packages/server/dist/testing/servers.js";
import { percentile } from "./percentile.mjs";

const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: "queue,overhead,batching,urgent" },
    json: { type: "boolean", default: false },
    jobs: { type: "string", default: "3000" },
    rounds: { type: "string", default: "3" },
  },
});

const ACCEPT_JOBS = Number(options.jobs);
const ACCEPT_CLIENTS = 32;
/** Jobs a second for the time to the first step: far from what the service can take, so that nothing queues. */
const CALM_RATE = 20;
const CALM_JOBS = 200;
const REST_JOBS = 200;
/** Pictures before those that count: V8 compiles what runs often only after a while. */
const WARMING_JOBS = 100;
const BUSY_CLIENTS = 16;
const BUSY_PICTURES = 16;
const BUSY_ROUNDS = Number(options.rounds);
const URGENT_JOBS = 10;
const SMALL = { prompt: "a house", steps: 1, width: 64, height: 64 };

/** A service in a process of its own, with a client that hears all its news. */
class Service {
  static async start(settings) {
    const folder = mkdtempSync(join(tmpdir(), "kiln-bench-"));
    const entry = fileURLToPath(new URL("../packages/server/dist/testing/serve.js", import.meta.url));
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, LOG_LEVEL: "error", KILN_LISTEN: "127.0.0.1:0=native" };
    const child = fork(entry, [], {
      env: { ...env, KILN_DATA_DIR: folder, KILN_DRAIN_SECONDS: "1", ...settings },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const { url } = await new Promise((resolve, reject) => {
      child.once("message", resolve);
      child.once("exit", (code) => reject(new Error(`the service ended with ${code}`)));
    });
    const service = new Service();
    Object.assign(service, { folder, child, url, agent: new Agent({ keepAlive: true, maxSockets: 64 }), jobs: new Map() });
    await service.listen();
    return service;
  }

  async listen() {
    this.socket = new WebSocket(`${this.url.replace("http", "ws")}/v1/events`);
    await new Promise((resolve, reject) => this.socket.once("open", resolve).once("error", reject));
    this.socket.on("message", (text) => {
      const { event, data } = JSON.parse(text);
      const job = this.about(data.job_id ?? data.id);
      const now = performance.now();
      if (event === "progress" && data.phase === "denoising") {
        job.firstStep ??= now;
        job.steps.push(now);
      }
      if (event === "job" && ["completed", "failed", "cancelled"].includes(data.status)) {
        job.ended = { at: now, status: data.status };
        job.resolve(job.ended);
      }
    });
  }

  about(id) {
    let job = this.jobs.get(id);
    if (!job) {
      let resolve;
      const end = new Promise((yes) => {
        resolve = yes;
      });
      job = { steps: [], end, resolve };
      this.jobs.set(id, job);
    }
    return job;
  }

  /** Sends a job; resolves when it is acknowledged. */
  async send(body) {
    const sent = performance.now();
    const { status, text } = await this.call("POST", "/v1/jobs", JSON.stringify(body));
    if (status !== 202) throw new Error(`answered ${status}: ${text}`);
    const { id } = JSON.parse(text);
    return Object.assign(this.about(id), { id, sent, accepted: performance.now() });
  }

  /** Sends a job and waits for its picture. */
  async draw(body) {
    const job = await this.send(body);
    const { status, at } = await job.end;
    this.jobs.delete(job.id);
    if (status !== "completed") throw new Error(`job ${job.id} is ${status}`);
    return { ...job, seconds: (at - job.sent) / 1000 };
  }

  async call(method, path, body) {
    return await new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
      const call = httpRequest(this.url + path, { method, headers, agent: this.agent }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk) => {
          text += chunk;
        });
        response.on("end", () => resolve({ status: response.statusCode, text }));
      });
      call.on("error", reject);
      call.end(body);
    });
  }

  async metric(name) {
    const { text } = await this.call("GET", "/metrics");
    return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
  }

  async stop() {
    this.socket.terminate();
    this.agent.destroy();
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGTERM");
    await ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Work of so many clients at once, each beginning the next as soon as one is done. */
async function atOnce(clients, count, work) {
  let next = 0;
  const lane = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: clients }, lane));
}

const milliseconds = (value) => `${value.toFixed(1)} ms`;

async function measureQueues() {
  const rows = [];
  for (const kind of ["embedded", "postgres", "redis"]) {
    const postgres = kind === "embedded" ? undefined : await startPostgres();
    const redis = kind === "redis" ? await startRedis() : undefined;
    try {
      if ((kind !== "embedded" && !postgres) || (kind === "redis" && !redis)) {
        rows.push({ queue: kind, note: "not installed" });
        continue;
      }
      const settings = {
        KILN_ENGINE: "test",
        KILN_TEST_ENGINE_STEP_MS: "0",
        ...(postgres ? { DATABASE_URL: postgres.url } : {}),
        ...(redis ? { REDIS_URL: redis.url } : {}),
      };
      rows.push({ queue: kind, ...(await measureQueue(settings)) });
    } finally {
      await redis?.stop();
      await postgres?.stop();
    }
  }
  return rows;
}

async function measureQueue(settings) {
  const service = await Service.start(settings);
  try {
    for (let index = 0; index < 20; index++) await service.draw(SMALL);
    const calm = [];
    for (let index = 0; index < CALM_JOBS; index++) {
      calm.push(service.draw(SMALL));
      await sleep(1000 / CALM_RATE);
    }
    const waits = (await Promise.all(calm)).map(({ firstStep, sent }) => firstStep - sent);
    const cpuBefore = await service.metric("process_cpu_seconds_total");
    const started = performance.now();
    const jobs = [];
    await atOnce(ACCEPT_CLIENTS, ACCEPT_JOBS, async () => jobs.push(await service.send(SMALL)));
    const accepting = (performance.now() - started) / 1000;
    await Promise.all(jobs.map(({ end }) => end));
    const cpu = (await service.metric("process_cpu_seconds_total")) - cpuBefore;
    const finishing = (performance.now() - started) / 1000;
    return {
      accepted_per_second: ACCEPT_JOBS / accepting,
      finished_per_second: ACCEPT_JOBS / finishing,
      // What the service's process itself computes for a job, from the request to the stored picture: hardly moved by neighbours.
      cpu_per_job_ms: (1000 * cpu) / ACCEPT_JOBS,
      accept_p50_ms: percentile(
        jobs.map(({ accepted, sent }) => accepted - sent),
        0.5,
      ),
      accept_p99_ms: percentile(
        jobs.map(({ accepted, sent }) => accepted - sent),
        0.99,
      ),
      first_step_p50_ms: percentile(waits, 0.5),
      first_step_p99_ms: percentile(waits, 0.99),
    };
  } finally {
    await service.stop();
  }
}

async function measureOverhead() {
  const request = { prompt: "a house", steps: 1, width: 256, height: 256 };
  const settings = loadSettings({ KILN_ENGINE: "test", KILN_TEST_ENGINE_STEP_MS: "0" }, tmpdir());
  const engine = await LocalEngine.start(settings, await findModels(settings, () => {}));
  const alone = [];
  for (let index = 0; index < WARMING_JOBS + REST_JOBS; index++)
    alone.push((await engine.draw({ ...request, seed: index })).seconds * 1000);
  await engine.stop();
  const service = await Service.start({ KILN_ENGINE: "test", KILN_TEST_ENGINE_STEP_MS: "0" });
  const drawn = [];
  const cpuBefore = await service.metric("process_cpu_seconds_total");
  for (let index = 0; index < WARMING_JOBS + REST_JOBS; index++) {
    drawn.push(await service.draw({ ...request, seed: index }));
    await sleep(10);
  }
  const whole = drawn.map(({ seconds }) => seconds * 1000);
  const cpu_per_job_ms = (1000 * ((await service.metric("process_cpu_seconds_total")) - cpuBefore)) / drawn.length;
  await service.stop();
  const [engine_p50_ms, service_p50_ms] = [alone, whole].map((values) => percentile(values.slice(WARMING_JOBS), 0.5));
  const service_p95_ms = percentile(whole.slice(WARMING_JOBS), 0.95);
  const part = (from, to) =>
    percentile(
      drawn.slice(WARMING_JOBS).map((job) => to(job) - from(job)),
      0.5,
    );
  const parts = {
    accepted_p50_ms: part(
      (job) => job.sent,
      (job) => job.accepted,
    ),
    to_first_step_p50_ms: part(
      (job) => job.sent,
      (job) => job.firstStep,
    ),
    to_end_p50_ms: part(
      (job) => job.firstStep,
      (job) => job.sent + job.seconds * 1000,
    ),
  };
  return {
    ...parts,
    engine_p50_ms,
    service_p50_ms,
    service_p95_ms,
    cpu_per_job_ms,
    added_p50_ms: service_p50_ms - engine_p50_ms,
  };
}

const DEMO = { prompt: "a red house on green hills at sunset" };

/** Both services take turns, so that what else the machine does falls on both alike. */
async function measureBatching() {
  const services = [];
  for (const slots of [1, 4]) {
    const service = await Service.start({ KILN_SLOTS: String(slots), KILN_DEFAULT_MODEL: "kiln-demo" });
    await service.draw(DEMO);
    services.push({ slots, service, seconds: 0, drawn: [] });
  }
  for (let round = 0; round < BUSY_ROUNDS; round++) {
    for (const each of services) {
      const started = performance.now();
      await atOnce(BUSY_CLIENTS, BUSY_PICTURES, async (index) =>
        each.drawn.push(await each.service.draw({ ...DEMO, seed: index })),
      );
      each.seconds += (performance.now() - started) / 1000;
    }
  }
  const rows = [];
  for (const { slots, service, seconds, drawn } of services) {
    await service.stop();
    rows.push({
      slots,
      pictures: drawn.length,
      pictures_per_minute: (60 * drawn.length) / seconds,
      picture_p50_seconds: percentile(
        drawn.map((job) => job.seconds),
        0.5,
      ),
    });
  }
  return rows.map((row) => ({ ...row, ratio: row.pictures_per_minute / rows[0].pictures_per_minute }));
}

async function measureUrgent() {
  const service = await Service.start({ KILN_SLOTS: "4", KILN_DEFAULT_MODEL: "kiln-demo" });
  await service.draw(DEMO);
  const busy = [];
  for (let client = 0; client < BUSY_CLIENTS; client++) {
    const next = async (index) => {
      const job = await service.send({ ...DEMO, seed: client * 1000 + index });
      busy.push(job);
      job.end.then(() => next(index + 1)).catch(() => {}); // the service ends before they do
    };
    await next(0);
  }
  await sleep(5000);
  const drawn = [];
  for (let index = 0; index < URGENT_JOBS; index++) {
    drawn.push(await service.draw({ ...DEMO, priority: "urgent", seed: index, steps: 4 }));
    await sleep(500 + 137 * (index % 5));
  }
  await service.stop();
  const step = percentile(busy.flatMap(intervals), 0.5);
  // What is not its own first step, which takes as long as its others, is the wait.
  const waits = drawn.map((job) => job.firstStep - job.sent - percentile(intervals(job), 0.5));
  return {
    step_p50_ms: step,
    first_step_done_p50_ms: percentile(
      drawn.map(({ firstStep, sent }) => firstStep - sent),
      0.5,
    ),
    wait_p50_ms: percentile(waits, 0.5),
    wait_max_ms: Math.max(...waits),
    wait_max_beyond_a_step_ms: Math.max(...waits) - step,
  };
}

/** Milliseconds between the steps of a job. */
function intervals({ steps }) {
  return steps.slice(1).map((at, place) => at - steps[place]);
}

const measurements = {
  queue: measureQueues,
  overhead: measureOverhead,
  batching: measureBatching,
  urgent: measureUrgent,
};
const results = {
  machine: `${cpus()[0]?.model.trim()}, ${availableParallelism()} cores, Node ${process.versions.node}`,
  date: new Date().toISOString(),
};
for (const name of options.only.split(",")) {
  const measure = measurements[name.trim()];
  if (!measure) throw new Error(`"${name}" is no measurement; there are ${Object.keys(measurements).join(", ")}.`);
  const before = loadavg()[0];
  results[name] = { load_before: before, result: await measure() };
  if (!options.json) show(name, results[name]);
}
if (options.json) console.log(JSON.stringify(results, undefined, 2));

function show(name, { load_before, result }) {
  console.log(`## ${name} (load of the machine before: ${load_before.toFixed(1)})\n`);
  const rows = Array.isArray(result) ? result : [result];
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  console.log(`| ${columns.join(" | ")} |\n|${columns.map(() => "---").join("|")}|`);
  for (const row of rows) {
    console.log(`| ${columns.map((column) => cell(column, row[column])).join(" | ")} |`);
  }
  console.log("");
}

function cell(column, value) {
  if (value === undefined) return "";
  if (typeof value !== "number") return String(value);
  if (column.endsWith("_ms")) return milliseconds(value);
  return Number.isInteger(value) ? String(value) : value.toFixed(2);
}
