import { afterAll, beforeAll, describe, expect, it } from "vitest";
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

describe.runIf(bundledOnnxRuntime() !== undefined && there.length > 0)("whole networks through the CUDA lowering", () => {
  let host: HostDevice | undefined;
  beforeAll(() => {
    host = openHostDevice();
  });
  afterAll(async () => {
    expect(host?.memory.blocks).toBe(0);
    await host?.dispose();
    expect(host?.device.runtime.library.alive).toEqual(new Map());
  });

  it.each(there)("%s %s agrees with the reference at its own tolerance", async (kind, name) => {
    const folder = REFERENCE_FOLDERS.find((path) => referencePath(`cases/${kind}/${name}.safetensors`)?.startsWith(path)) ?? "";
    const results = [];
    const openBackend = () => {
      if (!host) throw new Error("no device");
      return host.backend;
    };
    for await (const result of runConformance({ folder, openBackend, kind, name })) results.push(result);
    expect(results).toMatchObject([{ name, outcome: "passed" }]);
  });
});
