import { basename } from "node:path";
import { KilnError } from "../../errors.ts";
import { fetchWheel, type LibraryWheel, unpackLibraries } from "../install/library-wheel.ts";
import { replaceFolder } from "../install/replace-folder.ts";
import { openVinoFolder } from "./find-openvino.ts";
import { OPENVINO_LIBRARIES, OPENVINO_VERSION } from "./release.ts";

export interface InstallOptions {
  /** A wheel that is already here: for machines without network. */
  readonly wheel?: string | undefined;
  /** Default: `openVinoFolder()`. */
  readonly folder?: string;
  readonly onProgress?: (what: string) => void;
}

const WHEEL: LibraryWheel = {
  package: "openvino",
  version: OPENVINO_VERSION,
  platform: "manylinux_2_28_x86_64",
  megabytes: 57,
  libraries: OPENVINO_LIBRARIES,
};

/**
 * Puts OpenVINO's CPU libraries where Kiln finds them at its next start: from a wheel fetched by pip, or from one given by path.
 * Every library is held against its SHA-256; the folder appears when it is whole.
 * @returns the folder
 * @throws KilnError backend_unavailable on other platforms and where the wheel cannot be had; file_corrupt for another release
 */
export async function installOpenVino({
  wheel,
  folder = openVinoFolder(),
  onProgress = () => undefined,
}: InstallOptions = {}): Promise<string> {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new KilnError(
      "backend_unavailable",
      `OpenVINO is installed by Kiln on Linux x64 alone; ${process.platform} ${process.arch} draws with ONNX Runtime.`,
    );
  }
  await replaceFolder(folder, async (partial, scratch) => {
    const file = wheel ?? (await fetchWheel(WHEEL, scratch, onProgress));
    onProgress(`Unpacking ${basename(file)}`);
    await unpackLibraries(file, WHEEL, partial);
  });
  return folder;
}
