import { existsSync } from "node:fs";
import { join } from "node:path";
import { acceleratorFolder } from "../openvino/find-openvino.ts";
import { ONNXRUNTIME_LIBRARY, ONNXRUNTIME_VERSION } from "./release.ts";

/** Names a folder with ONNX Runtime's GPU libraries in place of the installed one. */
export const CUDA_FOLDER_VARIABLE = "KILN_CUDA";

const PROVIDER_LIBRARIES = ["libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"] as const;

/** What ONNX Runtime's own library is called: in the wheel, in its release archives, and where it was installed for compilers. */
const RUNTIME_NAMES = [ONNXRUNTIME_LIBRARY, "libonnxruntime.so.1", "libonnxruntime.so"] as const;

/** ONNX Runtime with its CUDA provider, on this machine. */
export interface FoundCuda {
  readonly folder: string;
  /** ONNX Runtime's own library. */
  readonly library: string;
}

/** Where `installCuda` puts its libraries. */
export function cudaFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return join(acceleratorFolder(environment), `cuda-onnxruntime-${ONNXRUNTIME_VERSION}`);
}

/** The libraries where they are installed; undefined where they are not, or not all. */
export function findCuda(environment: NodeJS.ProcessEnv = process.env): FoundCuda | undefined {
  const folder = environment[CUDA_FOLDER_VARIABLE] ?? cudaFolder(environment);
  if (missingFromCuda(folder).length > 0) return undefined;
  const name = RUNTIME_NAMES.find((each) => existsSync(join(folder, each)));
  return name === undefined ? undefined : { folder, library: join(folder, name) };
}

/** What a folder lacks to be taken, by name. */
export function missingFromCuda(folder: string): string[] {
  const missing: string[] = PROVIDER_LIBRARIES.filter((name) => !existsSync(join(folder, name)));
  return RUNTIME_NAMES.some((name) => existsSync(join(folder, name))) ? missing : [ONNXRUNTIME_LIBRARY, ...missing];
}
