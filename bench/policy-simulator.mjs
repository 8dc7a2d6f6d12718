/**
 * Replays arrivals of jobs through the worker's scheduling policy (packages/server/src/worker/policy.ts, as it is built)
 * and prints waits by priority, utilisation and pictures an hour, against plain first-come and whole-job batching.
 *
 *   npm run build && node bench/policy-simulator.mjs [--trace FILE.jsonl] [--slots 4] [--step 0.35] [--shared 0.3]
 *                                                    [--load 8] [--lookahead 4] [--seed 1] [--json]
 *
 * A trace has one arrival a line: {"at": seconds, "priority": "urgent|high|normal", "steps": 30, "model": "a"}.
 * Without one, four made ones are replayed. A step of k jobs takes step x (shared + (1 - shared) x k) seconds: `shared`
 * is the part of a step that is paid once however many jobs are in it (weights read, kernels started).
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { chooseNext, holdLimits } from "../packages/server/dist/worker/policy.js";
import { percentile } from "./percentile.mjs";

const { values: options } = parseArgs({
  options: {
    trace: { type: "string" },
    slots: { type: "string", default: "4" },
    step: { type: "string", default: "0.35" },
    shared: { type: "string", default: "0.3" },
    load: { type: "string", default: "8" },
    lookahead: { type: "string", default: "4" },
    seed: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
  },
});
const machine = {
  slots: Number(options.slots),
  stepSeconds: Number(options.step),
  shared: Number(options.shared),
  loadSeconds: Number(options.load),
  lookahead: Number(options.lookahead),
};
const PRIORITIES = ["urgent", "high", "normal"];
const RANK = { urgent: 2, high: 1, normal: 0 };

/** What a step of so many jobs takes. */
const stepTime = (jobs) => machine.stepSeconds * (machine.shared + (1 - machine.shared) * jobs);

/**
 * The device's clock and books, which all three policies share. One idle checkpoint stays in memory, the one that was
 * used last; as in the engine, one that draws is never dropped, so that two that draw at once are both there.
 */
class Device {
  constructor() {
    this.now = 0;
    this.busy = 0;
    this.loading = 0;
    this.models = new Set();
    this.lanes = 0;
    this.steps = 0;
    this.mostModels = 1;
  }

  /** @param used the models of all jobs that run, also of those that are not in this step */
  step(jobs, used = new Set([jobs[0].model])) {
    const [{ model }] = jobs;
    if (!this.models.has(model)) {
      this.now += machine.loadSeconds;
      this.loading += machine.loadSeconds;
      this.models.add(model);
    }
    for (const other of this.models) if (other !== model && !used.has(other)) this.models.delete(other);
    this.mostModels = Math.max(this.mostModels, this.models.size);
    for (const job of jobs) job.startedAt ??= this.now;
    const seconds = stepTime(jobs.length);
    this.now += seconds;
    this.busy += seconds;
    this.steps += 1;
    this.lanes += jobs.length;
    for (const job of jobs) {
      job.left -= 1;
      if (job.left === 0) job.endedAt = this.now;
    }
  }
}

/** Kiln: the worker holds a few jobs of each priority, the policy starts them, the denoiser batches what runs, step by step. */
function kiln(arrivals) {
  const device = new Device();
  const limits = holdLimits(machine.slots, machine.lookahead);
  const capacity = { slots: machine.slots, urgentExtra: machine.slots };
  const queues = { urgent: [], high: [], normal: [] };
  const held = new Map();
  let running = [];
  let next = 0;
  let call = 0;
  for (;;) {
    while (next < arrivals.length && arrivals[next].at <= device.now) {
      const job = arrivals[next++];
      queues[job.priority].push(job);
    }
    for (const priority of PRIORITIES) {
      // As in the queue, what runs takes a place of its priority too.
      const count = () => [...held.values(), ...running].filter((job) => job.priority === priority).length;
      while (queues[priority].length > 0 && count() < limits[priority]) {
        const job = queues[priority].shift();
        held.set(job.id, job);
      }
    }
    for (;;) {
      const loaded = new Set([...device.models, ...running.map((job) => job.model)]);
      const candidates = [...held.values()].map((job) => ({ ...job, since: job.at, suspect: false }));
      const chosen = chooseNext(
        candidates,
        running.map((job) => ({ ...job, suspect: false })),
        loaded,
        capacity,
        device.now,
      );
      if (!chosen) break;
      const job = held.get(chosen.id);
      held.delete(chosen.id);
      job.lastCall = 0;
      running.push(job);
    }
    if (running.length === 0) {
      if (next >= arrivals.length) return device;
      device.now = arrivals[next].at;
      continue;
    }
    // The denoiser's policy: the highest priority, then the longest since its last step; then all that share its call.
    const ordered = [...running].sort((a, b) => RANK[b.priority] - RANK[a.priority] || a.lastCall - b.lastCall);
    const batch = ordered.filter((job) => job.model === ordered[0].model).slice(0, machine.slots);
    call += 1;
    for (const job of batch) job.lastCall = call;
    device.step(batch, new Set(running.map((job) => job.model)));
    running = running.filter((job) => job.left > 0);
  }
}

/** One job after the other, in the order of arrival. */
function firstCome(arrivals) {
  const device = new Device();
  for (const job of arrivals) {
    device.now = Math.max(device.now, job.at);
    while (job.left > 0) device.step([job]);
  }
  return device;
}

/** Batches of one model, put together in the order of arrival, that run to the end of their longest job before the next begins. */
function wholeJobs(arrivals) {
  const device = new Device();
  let waiting = [...arrivals];
  while (waiting.length > 0) {
    const [first] = waiting;
    device.now = Math.max(device.now, first.at);
    const here = waiting.filter((job) => job.at <= device.now && job.model === first.model).slice(0, machine.slots);
    waiting = waiting.filter((job) => !here.includes(job));
    // Places of jobs that are done stay empty, but are computed: the batch has its shape.
    while (here.some((job) => job.left > 0)) {
      const open = here.filter((job) => job.left > 0);
      const empty = stepTime(here.length) - stepTime(open.length);
      device.step(open);
      device.now += empty;
      device.busy += empty;
    }
    for (const job of here) job.endedAt = device.now;
  }
  return device;
}

/** Numbers that are the same on every machine (mulberry32). */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Poisson arrivals: a tenth urgent, a fifth high; 20 to 40 steps. `load` is the part of the full batch's rate that arrives. */
function poisson({ load, count, models = 1, burst = 1 }) {
  const draw = random(Number(options.seed));
  const fullRate = machine.slots / (30 * stepTime(machine.slots));
  const jobs = [];
  let at = 0;
  while (jobs.length < count) {
    at += (-Math.log(1 - draw()) / (fullRate * load)) * burst;
    for (let each = 0; each < burst && jobs.length < count; each++) {
      const kind = draw();
      const priority = kind < 0.1 ? "urgent" : kind < 0.3 ? "high" : "normal";
      jobs.push({ at, priority, steps: 20 + Math.floor(draw() * 21), model: `m${Math.floor(draw() * models)}` });
    }
  }
  return jobs;
}

function scenarios() {
  if (options.trace) {
    const lines = readFileSync(options.trace, "utf8")
      .split("\n")
      .filter((line) => line.trim() !== "");
    return { [options.trace]: lines.map((line) => JSON.parse(line)).sort((a, b) => a.at - b.at) };
  }
  return {
    "steady, 70 % of what full batches draw": poisson({ load: 0.7, count: 2000 }),
    "steady, 95 %": poisson({ load: 0.95, count: 2000 }),
    "bursts of 20, 60 %": poisson({ load: 0.6, count: 2000, burst: 20 }),
    "two checkpoints, 60 %": poisson({ load: 0.6, count: 2000, models: 2 }),
  };
}

function measure(policy, trace) {
  const jobs = trace.map((job, index) => ({
    id: String(index),
    ...job,
    left: job.steps,
    startedAt: undefined,
    endedAt: undefined,
  }));
  const device = policy(jobs);
  const unfinished = jobs.filter((job) => job.endedAt === undefined).length;
  if (unfinished > 0) throw new Error(`${unfinished} jobs were never finished.`);
  const span = Math.max(...jobs.map((job) => job.endedAt)) - jobs[0].at;
  const result = {
    waits: {},
    utilisation: device.busy / span,
    loading: device.loading / span,
    batch: device.lanes / device.steps,
  };
  for (const priority of PRIORITIES) {
    const waits = jobs.filter((job) => job.priority === priority).map((job) => job.startedAt - job.at);
    result.waits[priority] = { p50: percentile(waits, 0.5), p95: percentile(waits, 0.95), max: Math.max(...waits) };
  }
  result.models_at_once = device.mostModels;
  result.finish_p95 = percentile(
    jobs.map((job) => job.endedAt - job.at),
    0.95,
  );
  result.pictures_per_hour = (jobs.length / span) * 3600;
  return result;
}

const policies = { "first-come, one at a time": firstCome, "whole-job batches": wholeJobs, Kiln: kiln };
const all = {};
for (const [name, trace] of Object.entries(scenarios())) {
  all[name] = Object.fromEntries(Object.entries(policies).map(([label, policy]) => [label, measure(policy, trace)]));
}
if (options.json) console.log(JSON.stringify({ machine, scenarios: all }, undefined, 2));
else print(all);

function print(results) {
  const { slots, stepSeconds, shared, loadSeconds } = machine;
  console.log(
    `${slots} slots; a step of one job ${stepSeconds} s, of ${slots} jobs ${stepTime(slots).toFixed(2)} s (shared part ${shared}); loading ${loadSeconds} s.`,
  );
  console.log("Waits are from arrival to the first step, in seconds: p50 / p95 / longest.\n");
  const round = (value) => (value >= 100 ? value.toFixed(0) : value.toFixed(1));
  for (const [name, rows] of Object.entries(results)) {
    console.log(`${name}\n`);
    console.log(
      "| policy | urgent | high | normal | done, p95 | jobs a step | device busy | loading | models at once | pictures an hour |",
    );
    console.log("|---|---|---|---|---|---|---|---|---|---|");
    for (const [policy, { waits, utilisation, loading, batch, models_at_once, finish_p95, pictures_per_hour }] of Object.entries(
      rows,
    )) {
      const cells = PRIORITIES.map((priority) => Object.values(waits[priority]).map(round).join(" / "));
      console.log(
        `| ${policy} | ${cells.join(" | ")} | ${round(finish_p95)} | ${batch.toFixed(2)} | ${(utilisation * 100).toFixed(0)} % | ${(loading * 100).toFixed(0)} % | ${models_at_once} | ${pictures_per_hour.toFixed(0)} |`,
      );
    }
    console.log("");
  }
}
