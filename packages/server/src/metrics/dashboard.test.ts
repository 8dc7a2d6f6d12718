import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { LOCAL_CALLER } from "../auth/caller.ts";
import { startTestServer, type TestServer } from "../testing/start-test-server.ts";

const dashboardSchema = z.object({
  panels: z.array(
    z.object({ title: z.string(), type: z.string(), targets: z.array(z.object({ expr: z.string() })).default([]) }),
  ),
  templating: z.object({ list: z.array(z.object({ query: z.union([z.string(), z.object({ query: z.string() })]) })) }),
});
const dashboard = dashboardSchema.parse(
  JSON.parse(readFileSync(new URL("../../../../deploy/grafana/kiln.json", import.meta.url), "utf8")),
);

let server: TestServer;
let exported: Set<string>;
let labels: Map<string, Set<string>>;

beforeAll(async () => {
  server = await startTestServer();
  for (const prompt of ["a house", "[fail]"]) {
    const { id } = (await server.call("POST", "/v1/jobs", { prompt, steps: 3 })).json as { id: string };
    await server.context.jobs.wait(id, LOCAL_CALLER);
  }
  // The queue is measured now and then, by the service's own clock.
  let text = "";
  for (let tries = 0; tries < 300 && !text.includes("kiln_queue_waiting{"); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    text = await (await fetch(`${server.url}/metrics`)).text();
  }
  // A histogram without observations has its type alone, so the sums' names are made from that.
  exported = new Set(
    [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name = "", type]) =>
      type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
  labels = new Map();
  for (const [, name = "", list = ""] of text.matchAll(/^(\w+)\{(.*)\} /gm)) {
    const known = labels.get(name) ?? new Set<string>();
    for (const [, label = ""] of list.matchAll(/(\w+)="/g)) known.add(label);
    labels.set(name, known);
  }
});
afterAll(async () => await server.close());

const METRIC = /\b(?:image_generation|kiln|process|nodejs)_\w+/g;

test("every metric of the dashboard is exported by /metrics", () => {
  const drawn = dashboard.panels.filter(({ type }) => type !== "row");
  expect(drawn.length).toBeGreaterThan(10);
  for (const { title, targets } of drawn) {
    expect(targets.length, title).toBeGreaterThan(0);
    for (const { expr } of targets) {
      const names = expr.match(METRIC) ?? [];
      expect(names, `${title}: ${expr}`).not.toEqual([]);
      for (const name of names) expect(exported, `${title} reads ${name}`).toContain(name);
    }
  }
  for (const { query } of dashboard.templating.list)
    for (const name of (typeof query === "string" ? query : query.query).match(METRIC) ?? []) expect(exported).toContain(name);
});

test("what the dashboard groups by is a label of the metric", () => {
  for (const { title, targets } of dashboard.panels) {
    for (const { expr } of targets) {
      const [, grouped = ""] = /by \(([^)]*)\)/.exec(expr) ?? [];
      const name = (expr.match(METRIC) ?? [])[0] ?? "";
      for (const label of grouped
        .split(",")
        .map((part) => part.trim())
        .filter((part) => part !== ""))
        expect(labels.get(name), `${title} groups ${name} by ${label}`).toContain(label);
    }
  }
});

test("the names that existing dashboards of the queue service read are kept", () => {
  for (const name of [
    "image_generation_requests_total",
    "image_generation_errors_total",
    "image_generation_duration_seconds_bucket",
  ])
    expect(exported).toContain(name);
});
