#!/usr/bin/env node
/** The tables of docs/gpu.md from results that run.mjs appended: node bench/gpu/report.mjs RESULTS.jsonl... */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { median } from "./numbers.mjs";

const ENGINES = {
  kiln: "Kiln",
  eager: "diffusers",
  compile: "diffusers, compiled",
  autotune: "diffusers, max-autotune",
};
const PROFILE_ROWS = 15;

/** Markdown of everything that the lines hold; of a part that ran twice, the later run counts. */
export function reportOf(lines) {
  const runs = latestRuns(lines);
  const of = (part) => runs.get(part) ?? [];
  const controlled = of("control").map((line) => (line.control ? { ...line, engine: "Kiln with a ControlNet" } : line));
  const sections = [
    machine(of("machine")),
    conformance(of("conformance"), of("torch-errors")),
    pictures("One picture at a time", of("single")),
    pictures("One picture, beside max-autotune", of("autotune")),
    rates("Pictures a second by batch", of("batches")),
    pictures("The best batch", of("best")),
    pictures("One picture with a ControlNet", controlled),
    memory([...["single", "autotune", "batches", "best"].flatMap(of), ...controlled]),
    start(["single", "autotune", "best"].flatMap(of)),
    urgent(of("urgent")),
    mixed(of("mixed")),
    profile(of("profile")),
    failures([...runs.values()].flat()),
  ];
  return `${sections.filter(Boolean).join("\n\n")}\n`;
}

/** Lines by part, from its last `begin` on. */
function latestRuns(lines) {
  const runs = new Map();
  for (const line of lines) {
    if (line.event === "begin") runs.set(line.part, []);
    runs.get(line.part)?.push(line);
  }
  return runs;
}

function table(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), `|${head.map(() => "---").join("|")}|`, ...rows.map(line)].join("\n");
}

const section = (title, body) => (body ? `## ${title}\n\n${body}` : "");
const fixed = (value, digits = 2) => (Number.isFinite(value) ? value.toFixed(digits) : "");
const milliseconds = (seconds) => (Number.isFinite(seconds) ? `${fixed(1000 * seconds, 1)} ms` : "");
const gibibytes = (mib) => (Number.isFinite(mib) ? `${fixed(mib / 1024, 1)} GiB` : "");

function machine(lines) {
  const about = lines.find(({ gpu }) => gpu !== undefined);
  if (!about) return "";
  const { gpu, cpu, memoryGib, node, kiln, python } = about;
  const versions =
    typeof python === "object" ? Object.entries(python).map(([name, version]) => `${name} ${version}`) : [`Python: ${python}`];
  const [{ settings }] = lines;
  return section(
    "The machine",
    [
      `GPU: ${gpu}. CPU: ${cpu}, ${memoryGib} GiB.`,
      `Kiln ${kiln} on ${settings.device} in ${settings.precision}, Node ${node}.`,
      `${versions.join(", ")}.`,
    ].join("  \n"),
  );
}

function conformance(lines, [...torchLines]) {
  const cases = lines.filter(({ outcome }) => outcome !== undefined);
  if (cases.length === 0) return "";
  const torch = torchLines.find(({ errors }) => errors);
  const rows = cases.map(({ kind, name, outcome, groups, reasons }) => {
    const [group] = groups;
    const there = torch?.errors[`${kind}/${name}`];
    return [
      `${kind}/${name}`,
      outcome,
      group ? group.difference.toExponential(1) : "",
      group ? group.tolerance.toExponential(1) : "",
      there === undefined ? "" : there.toExponential(1),
      there === undefined || !group ? "" : fixed(group.difference / there),
      reasons.join("; ").replaceAll("|", "/").slice(0, 200),
    ];
  });
  const passed = cases.filter(({ outcome }) => outcome === "passed").length;
  const head = ["case", "", "Kiln's error", "limit", `torch's on ${torch?.device ?? "this device"}`, "ratio", ""];
  return section("Conformance", `${passed} of ${cases.length} pass.\n\n${table(head, rows)}`);
}

/** Counted measurements by a key, in the order in which they came. */
function measured(lines, keyOf) {
  const groups = new Map();
  for (const line of lines) {
    if (line.repeat === undefined || line.seconds === undefined) continue;
    const key = keyOf(line);
    groups.set(key, [...(groups.get(key) ?? []), line]);
  }
  return groups;
}

/** Of one measurement: the median step; what comes before the first step; what comes after the last. */
function phases({ seconds, stepEnds, decode }) {
  const step = median(stepEnds.slice(1).map((end, index) => end - stepEnds[index]));
  return { seconds, step, before: stepEnds[0] - step, decode };
}

function pictures(title, lines) {
  const groups = measured(lines, ({ batch, steps, engine }) => `${batch}\t${steps}\t${engine}`);
  if (groups.size === 0) return "";
  const middle = (all, name) => median(all.map((line) => phases(line)[name]));
  const rows = [...groups].map(([key, all]) => {
    const [batch, steps, engine] = key.split("\t");
    const own = groups.get(`${batch}\t${steps}\tkiln`);
    const ratio = own && engine !== "kiln" ? fixed(middle(own, "seconds") / middle(all, "seconds")) : "";
    const seconds = all.map((line) => line.seconds);
    return [
      ENGINES[engine] ?? engine,
      batch,
      steps,
      `${fixed(middle(all, "seconds"), 3)} s`,
      `${fixed(Math.min(...seconds), 3)} to ${fixed(Math.max(...seconds), 3)}`,
      milliseconds(middle(all, "step")),
      milliseconds(middle(all, "before")),
      milliseconds(middle(all, "decode")),
      ratio,
    ];
  });
  const head = [
    "",
    "batch",
    "steps",
    "prompt to pixels",
    "least to most",
    "a step",
    "before the steps",
    "decoding",
    "Kiln's time by this",
  ];
  return section(title, table(head, rows));
}

function rates(title, lines) {
  const groups = measured(lines, ({ batch, engine }) => `${batch}\t${engine}`);
  if (groups.size === 0) return "";
  const keys = [...groups.keys()].map((key) => key.split("\t"));
  const engines = [...new Set(keys.map(([, engine]) => engine))];
  const rate = (batch, engine) => {
    const all = groups.get(`${batch}\t${engine}`);
    return all ? Number(batch) / median(all.map(({ seconds }) => seconds)) : Number.NaN;
  };
  const rows = [...new Set(keys.map(([batch]) => batch))].map((batch) => [
    batch,
    ...engines.map((engine) => fixed(rate(batch, engine), 3)),
  ]);
  const [{ steps }] = [...groups.values()][0];
  return section(`${title}, ${steps} steps`, table(["batch", ...engines.map((engine) => ENGINES[engine] ?? engine)], rows));
}

function memory(lines) {
  const rows = new Map();
  for (const { part, engine, batch, event, deviceMib, torchPeakMib, hostPeakMib } of lines) {
    if (event !== "first" || hostPeakMib === undefined) continue;
    rows.set(`${part}\t${engine}\t${batch}`, [
      part,
      ENGINES[engine] ?? engine,
      batch,
      gibibytes(deviceMib),
      gibibytes(torchPeakMib),
      gibibytes(hostPeakMib),
    ]);
  }
  const head = ["part", "", "batch", "the device's memory grew to", "torch allocated", "peak of the machine's memory"];
  return section("Memory", rows.size > 0 && table(head, [...rows.values()]));
}

function start(lines) {
  const rows = lines
    .filter(({ event, seconds }) => (event === "load" || event === "first") && seconds !== undefined)
    .map(({ part, engine, event, batch, steps, seconds, backend }) => [
      part,
      ENGINES[engine] ?? engine,
      event === "load" ? `loaded${backend ? ` (${backend})` : ""}` : `first picture, batch ${batch}, ${steps} steps`,
      `${fixed(seconds, 1)} s`,
    ]);
  return section("Start", rows.length > 0 && table(["part", "", "", "took"], rows));
}

function urgent(lines) {
  const rows = lines
    .filter(({ firstStepDone }) => firstStepDone)
    .map(({ clients, step, firstStepDone: { p50, p95, max }, waitBeyondOwnStep }) => [
      clients,
      milliseconds(step),
      milliseconds(p50),
      milliseconds(p95),
      milliseconds(max),
      `${milliseconds(waitBeyondOwnStep)} (${fixed(waitBeyondOwnStep / step)} steps)`,
    ]);
  const head = ["pictures at once", "a step of all", "first step done, p50", "p95", "longest", "p50 beyond its own step"];
  return section("An urgent picture's wait", rows.length > 0 && table(head, rows));
}

function mixed(lines) {
  const rows = lines
    .filter(({ stepsPerSecond }) => stepsPerSecond !== undefined)
    .map(({ clients, took, pictures: finished, stepsPerSecond, picturesOf20PerSecond }) => [
      clients,
      `${fixed(took, 0)} s`,
      finished,
      fixed(stepsPerSecond, 1),
      fixed(picturesOf20PerSecond, 3),
    ]);
  const head = ["pictures at once", "measured for", "finished", "steps a second", "as pictures of 20 steps a second"];
  return section("Continuous batching: mixed steps and schedulers", rows.length > 0 && table(head, rows));
}

function profile(lines) {
  const networks = lines.flatMap(({ networks = [] }) => networks);
  const parts = networks.map(({ name, runs, runMilliseconds, ops }) => {
    const total = ops
      .filter(({ category }) => category === ops[0]?.category)
      .reduce((sum, { milliseconds: each }) => sum + each, 0);
    const rows = ops
      .slice(0, PROFILE_ROWS)
      .map(({ category, op, provider, count, milliseconds: each }) => [
        op,
        provider || category,
        fixed(count / Math.max(runs, 1), 1),
        `${fixed(each / Math.max(runs, 1))} ms`,
        `${fixed((100 * each) / total, 1)} %`,
      ]);
    const summary = `${name}: ${runs} runs, ${fixed(runMilliseconds / Math.max(runs, 1))} ms each, the first among them.`;
    return `${summary}\n\n${table(["op", "on", "a run", "a run takes", "part"], rows)}`;
  });
  const note = lines.find(({ note }) => note)?.note;
  return section("Where the time goes", parts.join("\n\n") || (note ? `No table: ${note}.` : ""));
}

function failures(lines) {
  const rows = lines
    .filter(({ error }) => error !== undefined)
    .map(({ part, engine = "", kind = "", batch = "", error }) => [
      part,
      engine || kind,
      batch,
      error.replaceAll("|", "/").replaceAll("\n", " ").slice(0, 300),
    ]);
  return section("What failed", rows.length > 0 && table(["part", "", "batch", "error"], rows));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = process.argv.slice(2);
  if (files.length === 0) {
    console.error("usage: node bench/gpu/report.mjs RESULTS.jsonl...");
    process.exit(2);
  }
  const texts = files.flatMap((file) => readFileSync(file, "utf8").split("\n"));
  process.stdout.write(reportOf(texts.filter(Boolean).map((line) => JSON.parse(line))));
}
