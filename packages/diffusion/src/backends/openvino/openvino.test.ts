import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { OP_GRAPHS, runOpGraph } from "../../testing/op-graphs.ts";
import { onnxBackend } from "../onnx/onnx-backend.ts";
import { findOpenVino } from "./find-openvino.ts";
import { installOpenVino } from "./install-openvino.ts";
import { openVinoBackend } from "./openvino-backend.ts";

const libraries = findOpenVino();
if (libraries === undefined) console.error("OpenVINO is not installed (kiln accel install): its tests are skipped.");

describe.runIf(libraries !== undefined)("OpenVINO", () => {
  for (const [name, graph] of Object.entries(OP_GRAPHS)) {
    it(`computes ${name} as ONNX Runtime does`, async () => {
      const expected = await runOpGraph(onnxBackend(), graph);
      const actual = await runOpGraph(openVinoBackend({ libraries: libraries ?? "", precision: "float32" }), graph);
      expect(actual.shape).toEqual([...expected.shape]);
      const scale = Math.max(...expected.data.map(Math.abs));
      for (const [i, value] of actual.data.entries())
        expect(Math.abs(value - (expected.data[i] ?? Number.NaN))).toBeLessThan(2e-5 * scale);
    });
  }
});

describe("installing OpenVINO", () => {
  const folder = mkdtempSync(join(tmpdir(), "kiln-accel-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.runIf(process.platform === "linux" && process.arch === "x64")(
    "refuses a file that is no wheel, and leaves nothing behind",
    async () => {
      const wheel = join(folder, "openvino.whl");
      writeFileSync(wheel, "not a zip file");
      await expect(installOpenVino({ wheel, folder: join(folder, "openvino") })).rejects.toMatchObject({ code: "file_corrupt" });
      expect(readdirSync(folder)).toEqual(["openvino.whl"]);
    },
  );
});
