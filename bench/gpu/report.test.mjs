import { describe, expect, it } from "vitest";
import { median, percentile } from "./numbers.mjs";
import { sumByOp } from "./profile.mjs";
import { reportOf } from "./report.mjs";

const begin = (part) => ({ part, event: "begin", settings: { device: "cuda", precision: "float16" } });
const drawn = (part, engine, batch, seconds) => ({
  part,
  engine,
  batch,
  steps: 20,
  repeat: 0,
  seconds,
  stepEnds: [0.3, 0.4, 0.5],
  decode: seconds - 0.5,
});

describe("the report", () => {
  it("holds the engines' medians beside each other, with Kiln's time by theirs", () => {
    const lines = [begin("single"), ...[1, 9, 2].map((s) => drawn("single", "kiln", 1, s)), drawn("single", "compile", 1, 4)];
    const report = reportOf(lines);
    expect(report).toContain("| Kiln | 1 | 20 | 2.000 s | 1.000 to 9.000 | 100.0 ms | 200.0 ms | 1500.0 ms |  |");
    expect(report).toContain(
      "| diffusers, compiled | 1 | 20 | 4.000 s | 4.000 to 4.000 | 100.0 ms | 200.0 ms | 3500.0 ms | 0.50 |",
    );
  });

  it("tells pictures with a ControlNet from those without", () => {
    const drawnWith = { ...drawn("control", "kiln", 1, 4), control: "/weights/controlnet" };
    const report = reportOf([begin("control"), drawn("control", "kiln", 1, 2), drawnWith]);
    expect(report).toContain("| Kiln | 1 | 20 | 2.000 s |");
    expect(report).toContain("| Kiln with a ControlNet | 1 | 20 | 4.000 s |");
    expect(report).toContain("| 0.50 |");
  });

  it("counts neither first pictures nor an earlier run of a part, and names what failed", () => {
    const lines = [
      begin("batches"),
      drawn("batches", "kiln", 1, 100),
      begin("batches"),
      { ...drawn("batches", "kiln", 4, 50), event: "first", repeat: undefined },
      drawn("batches", "kiln", 4, 2),
      { part: "batches", engine: "eager", batch: 16, error: "out of memory | here" },
    ];
    const report = reportOf(lines);
    expect(report).toContain("| 4 | 2.000 |");
    expect(report).not.toContain("| 1 | ");
    expect(report).toContain("| batches | eager | 16 | out of memory / here |");
  });

  it("puts Kiln's error beside torch's on the same device", () => {
    const groups = [{ group: "output relative", difference: 0.0015, tolerance: 0.003 }];
    const lines = [
      begin("conformance"),
      { part: "conformance", kind: "unet", name: "tiny-xl-00", outcome: "passed", groups, reasons: [] },
      begin("torch-errors"),
      { part: "torch-errors", device: "cuda", errors: { "unet/tiny-xl-00": 0.002 } },
    ];
    expect(reportOf(lines)).toContain("| unet/tiny-xl-00 | passed | 1.5e-3 | 3.0e-3 | 2.0e-3 | 0.75 |");
  });
});

describe("a profile", () => {
  const node = (op_name, dur, name = `${op_name}_1_kernel_time`) => ({
    cat: "Node",
    name,
    dur,
    args: { op_name, provider: "CUDAExecutionProvider" },
  });
  const events = [
    { cat: "Session", name: "model_run", dur: 9000 },
    node("NhwcConv", 1000),
    node("NhwcConv", 3000),
    node("GroupNorm", 500),
    node("GroupNorm", 9999, "GroupNorm_1_fence_before"),
    { cat: "Session", name: "session_initialization", dur: 1 },
  ];

  it("is summed by op, the slowest first", () => {
    const { runs, runMilliseconds, ops } = sumByOp(JSON.stringify(events));
    expect({ runs, runMilliseconds }).toEqual({ runs: 1, runMilliseconds: 9 });
    expect(ops.map(({ op, count, milliseconds }) => [op, count, milliseconds])).toEqual([
      ["NhwcConv", 2, 4],
      ["GroupNorm", 1, 0.5],
    ]);
  });

  it("that was cut off is read as far as it goes", () => {
    const cutOff = `${JSON.stringify(events).slice(0, -1)},\n`;
    expect(sumByOp(cutOff)).toEqual(sumByOp(JSON.stringify(events)));
  });
});

describe("numbers", () => {
  it("lie between neighbours where no value is in the middle", () => {
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(percentile([10, 20], 0.95)).toBeCloseTo(19.5);
    expect(median([])).toBeNaN();
  });
});
