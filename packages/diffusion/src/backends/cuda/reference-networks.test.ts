import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { reducedPrecisionJudge } from "../../conformance/reduced-precision.ts";
import { runConformance } from "../../conformance/run-conformance.ts";
import { type HostDevice, openHostDevice } from "../../testing/host-device.ts";
import { REFERENCE_FOLDERS, referencePath } from "../../testing/reference.ts";
import { bundledOnnxRuntime } from "../onnxruntime-c/find-bundled.ts";

/** One case of each network: all of them run by `kiln-conformance`'s runner, these on the CUDA lowering in float32. */
const CASES = [
  ["unet", "tiny-xl-00"],
  ["unet", "tiny-sd15-00"],
  ["controlnet", "tiny-xl-00"],
  ["vae", "tiny-xl-00"],
  ["text_encoder", "tiny-xl-00"],
] as const;

const there = CASES.filter(([kind, name]) => referencePath(`cases/${kind}/${name}.safetensors`) !== undefined);
if (there.length < CASES.length) console.error("Some reference cases are not here: the CUDA lowering runs without them.");

const PRECISIONS = ["float32", "float16"] as const;

describe.runIf(bundledOnnxRuntime() !== undefined && there.length > 0).each(PRECISIONS)("whole networks in %s", (precision) => {
  let host: HostDevice | undefined;
  beforeAll(() => {
    host = openHostDevice({ precision });
  });
  afterAll(async () => {
    expect(host?.memory.blocks).toBe(0);
    await host?.dispose();
    expect(host?.device.runtime.library.alive).toEqual(new Map());
  });

  // In float32 at the case's own tolerance; in float16 beside torch's own error.
  const judge = precision === "float16" ? { judge: reducedPrecisionJudge(precision) } : {};

  it.each(there)("%s %s agrees with the reference", async (kind, name) => {
    const folder = REFERENCE_FOLDERS.find((path) => referencePath(`cases/${kind}/${name}.safetensors`)?.startsWith(path)) ?? "";
    const results = [];
    const openBackend = () => {
      if (!host) throw new Error("no device");
      return host.backend;
    };
    for await (const result of runConformance({ folder, openBackend, kind, name, ...judge })) results.push(result);
    expect(results).toMatchObject([{ name, outcome: "passed" }]);
  });
});
