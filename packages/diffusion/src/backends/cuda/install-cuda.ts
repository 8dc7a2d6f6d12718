import { readdir, symlink } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { KilnError } from "../../errors.ts";
import { fetchWheel, type LibraryWheel, unpackLibraries } from "../install/library-wheel.ts";
import { replaceFolder } from "../install/replace-folder.ts";
import { cudaFolder } from "./find-cuda.ts";
import { CUDA_WHEELS, ONNXRUNTIME_WHEEL } from "./release.ts";

export interface InstallCudaOptions {
  /** Wheels that are already here: for machines without network. What they hold is not fetched. */
  readonly wheels?: readonly string[] | undefined;
  /** Folders with libraries that are installed: CUDA's and cuDNN's, or ONNX Runtime's. What is there is linked and not fetched. */
  readonly paths?: readonly string[] | undefined;
  /** Default: `cudaFolder()`. */
  readonly folder?: string;
  readonly onProgress?: (what: string) => void;
}

/** Libraries that belong together lie in one folder, whatever their versions are called: `libcudnn_ops.so.9`, `libnvrtc-builtins.so.13.2`. */
const LINKED =
  /^lib(onnxruntime|cudart|cublas|cublasLt|curand|cudnn\w*|nvrtc(-builtins)?)(_providers_(cuda|shared))?\.so(\.\d+)*$/;

/**
 * Puts ONNX Runtime's GPU libraries, CUDA 13 and cuDNN 9 where Kiln finds them at its next start: each from a folder where it is
 * installed, from a wheel given by path, or from one fetched by pip. What comes from wheels is held against its SHA-256; the
 * folder appears when it is whole.
 * @returns the folder
 * @throws KilnError backend_unavailable on other platforms and where a wheel cannot be had; file_not_found for a folder that cannot
 *   be read; file_corrupt for another release
 */
export async function installCuda({
  wheels = [],
  paths = [],
  folder = cudaFolder(),
  onProgress = () => undefined,
}: InstallCudaOptions = {}): Promise<string> {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new KilnError("backend_unavailable", `CUDA is used on Linux x64 alone; this is ${process.platform} ${process.arch}.`);
  }
  await replaceFolder(folder, async (partial, scratch) => {
    const linked = await link(paths, partial);
    for (const wheel of [ONNXRUNTIME_WHEEL, ...CUDA_WHEELS]) {
      const [first = ""] = wheel.libraries.keys();
      if (linked.has(first)) {
        onProgress(`Taking ${first} and what belongs to it from ${linked.get(first)}`);
        continue;
      }
      const file = wheels.find((path) => isOf(path, wheel)) ?? (await fetchWheel(wheel, scratch, onProgress));
      onProgress(`Unpacking ${basename(file)}`);
      await unpackLibraries(file, wheel, partial);
    }
  });
  return folder;
}

/** Wheels' names begin with the package's, with its hyphens as underscores. */
function isOf(path: string, wheel: LibraryWheel): boolean {
  return basename(path).startsWith(`${wheel.package.replaceAll("-", "_")}-`);
}

/** Links the libraries that lie in some folders. @returns where each comes from. */
async function link(paths: readonly string[], into: string): Promise<ReadonlyMap<string, string>> {
  const linked = new Map<string, string>();
  for (const path of paths.map((each) => resolve(each))) {
    const names = await readdir(path).catch((cause: unknown) => {
      throw new KilnError("file_not_found", `${path} cannot be read as a folder of libraries.`, { subject: path, cause });
    });
    for (const name of names.filter((each) => LINKED.test(each) && !linked.has(each))) {
      await symlink(join(path, name), join(into, name));
      linked.set(name, path);
    }
  }
  return linked;
}
