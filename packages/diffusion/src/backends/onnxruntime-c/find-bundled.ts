import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** The shared library inside npm's onnxruntime-node, which computes on the CPU; undefined where the package has none for this system. */
export function bundledOnnxRuntime(): string | undefined {
  if (process.platform !== "linux") return undefined;
  const root = dirname(createRequire(import.meta.url).resolve("onnxruntime-node/package.json"));
  const path = join(root, "bin/napi-v6/linux", process.arch, "libonnxruntime.so.1");
  return existsSync(path) ? path : undefined;
}
