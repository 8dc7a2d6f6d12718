import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { chooseBackend } from "../choose-backend.ts";
import { cudaBackend } from "./cuda-backend.ts";
import { cudaDevices } from "./cuda-driver.ts";
import { CUDA_FOLDER_VARIABLE } from "./find-cuda.ts";
import { loadCudaLibraries } from "./load-cuda.ts";

const folder = mkdtempSync(join(tmpdir(), "kiln-cuda-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.unstubAllEnvs());

/** More devices than any machine has. */
const NO_SUCH_DEVICE = 1000;

describe("opening CUDA", () => {
  it("says what to run where its libraries are not installed", () => {
    vi.stubEnv(CUDA_FOLDER_VARIABLE, join(folder, "none"));
    expect(() => chooseBackend({ device: "cuda" })).toThrow(
      expect.objectContaining({ code: "backend_unavailable", message: expect.stringContaining("kiln accel install cuda") }),
    );
  });

  it("has no bfloat16", () => {
    expect(() => chooseBackend({ device: "cuda", precision: "bfloat16" })).toThrow(
      expect.objectContaining({ code: "invalid_request", subject: "precision" }),
    );
  });

  it("says which devices there are, or why there is none, where one is named that is not there", () => {
    const open = (): unknown => cudaBackend({ libraries: { folder, library: "none" }, deviceId: NO_SUCH_DEVICE });
    const { why } = cudaDevices();
    expect(why.length).toBeGreaterThan(0);
    expect(open).toThrow(expect.objectContaining({ code: "backend_unavailable", message: expect.stringContaining(why) }));
  });

  it.runIf(process.platform === "linux")("names the library that does not load", () => {
    const broken = join(folder, "broken");
    mkdirSync(broken);
    writeFileSync(join(broken, "libcudart.so.13"), "no library");
    expect(() => loadCudaLibraries(broken)).toThrow(
      expect.objectContaining({ code: "backend_unavailable", subject: "libcudart.so.13" }),
    );
  });
});
