import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const RUN = fileURLToPath(new URL("./run.mjs", import.meta.url));
const built = existsSync(fileURLToPath(new URL("../../packages/diffusion/dist/index.js", import.meta.url)));
let out;

beforeAll(() => {
  out = mkdtempSync(join(tmpdir(), "kiln-gpu-test-"));
});
afterAll(() => rmSync(out, { recursive: true, force: true }));

/** The smallest run there is, on the CPU, with a Python that does not exist. */
function run(...args) {
  const small = ["--tiny", "--device", "onnx", "--python", "/no/such/python", "--repeats", "1", "--steps", "2"];
  const { status, stdout } = spawnSync(process.execPath, [RUN, "--out", out, ...small, ...args], { encoding: "utf8" });
  return { status, stdout };
}

function lines() {
  const text = readFileSync(join(out, "results.jsonl"), "utf8");
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!built)("a run", () => {
  it("measures Kiln where another engine cannot start, and says in the report which", () => {
    expect(run("--only", "single", "--engines", "kiln,eager").status).toBe(0);
    const [measured] = lines().filter(({ repeat }) => repeat === 0);
    expect(measured).toMatchObject({ part: "single", engine: "kiln", batch: 1, steps: 2 });
    expect(measured.stepEnds).toHaveLength(2);
    const report = readFileSync(join(out, "report.md"), "utf8");
    expect(report).toMatch(/\| Kiln \| 1 \| 2 \| [\d.]+ s \|/);
    expect(report).toMatch(/\| single \| eager \| {2}\| the process could not start: .*ENOENT/);
  });

  it("goes on after a line that was cut, and counts the later run of a part", () => {
    appendFileSync(join(out, "results.jsonl"), '{"part":"single","engi');
    const { status } = run("--only", "machine,single", "--engines", "kiln");
    expect(status).toBe(0);
    const report = readFileSync(join(out, "report.md"), "utf8");
    expect(report).not.toContain("could not start");
    expect(report).toContain("Python: none");
  });

  it("leaves nothing behind that runs where it is ended", async () => {
    const engine = join(out, "engine.sh");
    const note = join(out, "engine.pid");
    // The process's number is written elsewhere first: a file that is there is whole.
    writeFileSync(engine, `#!/bin/sh\necho $$ >'${note}.partial' && mv '${note}.partial' '${note}'\nexec sleep 3600\n`, {
      mode: 0o755,
    });
    const args = ["--out", out, "--tiny", "--device", "onnx", "--only", "single", "--engines", "eager", "--python", engine];
    const child = spawn(process.execPath, [RUN, ...args], { stdio: "ignore" });
    const ended = once(child, "exit");
    await expect.poll(() => existsSync(note), { timeout: 60_000 }).toBe(true);
    child.kill("SIGTERM");
    expect(await ended).toEqual([1, null]);
    const pid = Number(readFileSync(note, "utf8"));
    expect(pid).toBeGreaterThan(0);
    await expect.poll(() => isRunning(pid), { timeout: 60_000 }).toBe(false);
  });

  it("refuses a part that there is not, by name", () => {
    expect(run("--only", "nothing").status).not.toBe(0);
  });
});
