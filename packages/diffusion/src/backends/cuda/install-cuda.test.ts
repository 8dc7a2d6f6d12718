import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { findCuda, missingFromCuda } from "./find-cuda.ts";
import { installCuda } from "./install-cuda.ts";
import { CUDA_WHEELS, ONNXRUNTIME_LIBRARY, ONNXRUNTIME_WHEEL } from "./release.ts";

const folder = mkdtempSync(join(tmpdir(), "kiln-cuda-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Folders with files by the names of installed libraries, and one that is none. */
function installed(): string[] {
  const [runtime, cuda] = ["runtime", "cuda"].map((name) => join(folder, name)) as [string, string];
  for (const path of [runtime, cuda]) mkdirSync(path, { recursive: true });
  for (const name of ONNXRUNTIME_WHEEL.libraries.keys()) writeFileSync(join(runtime, name), "");
  for (const wheel of CUDA_WHEELS) for (const name of wheel.libraries.keys()) writeFileSync(join(cuda, name), "");
  for (const name of ["libcudnn_engines_tensor_ir.so.9", "libnvidia-ml.so.1", "libcublas.so.13.0.2", "README"])
    writeFileSync(join(cuda, name), "");
  return [runtime, cuda];
}

describe.runIf(process.platform === "linux" && process.arch === "x64")("installing CUDA's libraries", () => {
  it("links what is installed, with all that belongs to it, and fetches nothing", async () => {
    const paths = installed();
    const progress: string[] = [];
    const into = join(folder, "linked");
    await installCuda({ paths, folder: into, onProgress: (what) => progress.push(what) });
    expect(readlinkSync(join(into, "libcublasLt.so.13"))).toBe(join(paths[1] ?? "", "libcublasLt.so.13"));
    expect(readdirSync(into)).toContain("libcudnn_engines_tensor_ir.so.9");
    expect(readdirSync(into)).not.toContain("libnvidia-ml.so.1");
    expect(progress).toHaveLength(1 + CUDA_WHEELS.length);
    expect(findCuda({ KILN_CUDA: into })).toEqual({ folder: into, library: join(into, ONNXRUNTIME_LIBRARY) });
  });

  it("refuses a file that is no wheel, and leaves nothing behind", async () => {
    const wheel = join(folder, `onnxruntime_gpu-1.30.0-cp312-cp312-manylinux_2_28_x86_64.whl`);
    writeFileSync(wheel, "not a zip file");
    const into = join(folder, "refused");
    await expect(installCuda({ wheels: [wheel], folder: into })).rejects.toMatchObject({
      code: "file_corrupt",
      message: expect.stringContaining("pip download onnxruntime-gpu==1.30.0"),
    });
    expect(readdirSync(folder).filter((name) => name.startsWith("refused"))).toEqual([]);
  });

  it("names a folder that is not there", async () => {
    await expect(installCuda({ paths: [join(folder, "none")], folder: join(folder, "x") })).rejects.toMatchObject({
      code: "file_not_found",
      subject: join(folder, "none"),
    });
  });
});

describe("finding CUDA's libraries", () => {
  it("takes a folder that holds all of ONNX Runtime's, and says what one lacks", () => {
    const part = join(folder, "part");
    mkdirSync(part);
    writeFileSync(join(part, "libonnxruntime.so.1"), "");
    expect(missingFromCuda(part)).toEqual(["libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"]);
    expect(findCuda({ KILN_CUDA: part })).toBeUndefined();
    expect(findCuda({ KILN_ACCEL_DIR: join(folder, "nowhere") })).toBeUndefined();
  });
});
