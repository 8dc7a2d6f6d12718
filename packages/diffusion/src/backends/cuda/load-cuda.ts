import { existsSync } from "node:fs";
import { join } from "node:path";
import { KilnError } from "../../errors.ts";
import { nativeCalls } from "../native-calls.ts";
import { CUDA_LIBRARIES, LEAST_DRIVER, OPTIONAL_CUDA_LIBRARIES } from "./release.ts";

/** Stay loaded until the process ends: the provider finds by their names what is loaded already. */
const LOADED = new Set<unknown>();

/**
 * Loads CUDA and cuDNN from a folder where they lie in it, else from where the system's loader finds them.
 * @throws KilnError backend_unavailable, which names the library
 */
export function loadCudaLibraries(folder: string): void {
  for (const name of CUDA_LIBRARIES) {
    try {
      LOADED.add(nativeCalls().load(place(folder, name)));
    } catch (cause) {
      throw new KilnError("backend_unavailable", `${name} cannot be loaded: ${reasonOf(cause)}. ${remedy(cause)}`, {
        subject: name,
        cause,
      });
    }
  }
  for (const name of OPTIONAL_CUDA_LIBRARIES) {
    try {
      LOADED.add(nativeCalls().load(place(folder, name)));
    } catch {
      // cuDNN has compiled kernels for what these would compile.
    }
  }
}

function place(folder: string, name: string): string {
  const path = join(folder, name);
  return existsSync(path) ? path : name;
}

function reasonOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).replace(/^Failed to load shared library: /, "");
}

function remedy(cause: unknown): string {
  return reasonOf(cause).includes("libcuda.so")
    ? `Install NVIDIA's driver, ${LEAST_DRIVER} or later.`
    : 'Run "kiln accel install cuda", or name the folder that holds it with --path.';
}
