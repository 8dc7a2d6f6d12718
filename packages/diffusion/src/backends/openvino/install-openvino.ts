import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { openPromise } from "yauzl";
import { KilnError } from "../../errors.ts";
import { openVinoFolder } from "./find-openvino.ts";
import { OPENVINO_LIBRARIES, OPENVINO_VERSION } from "./release.ts";

export interface InstallOptions {
  /** A wheel that is already here: for machines without network. */
  readonly wheel?: string | undefined;
  /** Default: `openVinoFolder()`. */
  readonly folder?: string;
  readonly onProgress?: (what: string) => void;
}

/** The platform that the wheel's libraries are for, as pip names it. */
const PLATFORM = "manylinux_2_28_x86_64";

/** What to do on a machine that cannot fetch: told by every error of fetching. */
const OFFLINE = `On a machine with network run "pip download openvino==${OPENVINO_VERSION} --no-deps --only-binary=:all: --platform ${PLATFORM}", bring the .whl file here, and name it with --wheel.`;

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
  const scratch = await mkdtemp(join(tmpdir(), "kiln-openvino-"));
  const partial = `${folder}.partial-${process.pid}`;
  try {
    const file = wheel ?? (await fetchWheel(scratch, onProgress));
    onProgress(`Unpacking ${basename(file)}`);
    await mkdir(partial, { recursive: true });
    await unpack(file, partial);
    await rm(folder, { recursive: true, force: true });
    await rename(partial, folder);
    return folder;
  } finally {
    for (const leftover of [scratch, partial]) await rm(leftover, { recursive: true, force: true });
  }
}

async function fetchWheel(folder: string, onProgress: (what: string) => void): Promise<string> {
  onProgress(`Fetching OpenVINO ${OPENVINO_VERSION} (57 MB) with pip`);
  const wanted = [
    "download",
    `openvino==${OPENVINO_VERSION}`,
    "--no-deps",
    "--only-binary=:all:",
    "--platform",
    PLATFORM,
    "--python-version",
    "3.12",
    "--dest",
    folder,
    "--quiet",
  ];
  for (const [command, ...first] of [["pip3"], ["pip"], ["python3", "-m", "pip"]] as const) {
    try {
      await promisify(execFile)(command, [...first, ...wanted]);
      const found = (await readdir(folder)).find((name) => name.endsWith(".whl"));
      if (found) return join(folder, found);
    } catch (cause) {
      if (!isMissing(cause))
        throw new KilnError("backend_unavailable", `${command} could not fetch OpenVINO: ${String(cause)}\n${OFFLINE}`, {
          cause,
        });
    }
  }
  throw new KilnError("backend_unavailable", `OpenVINO is fetched with pip, which this machine does not have. ${OFFLINE}`);
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

/** Takes the wanted libraries out of a wheel, which is a zip file. */
async function unpack(wheel: string, folder: string): Promise<void> {
  const missing = new Map(OPENVINO_LIBRARIES);
  const zip = await openPromise(wheel).catch((cause: unknown) => {
    throw new KilnError("file_corrupt", `${wheel} cannot be read as a wheel. ${OFFLINE}`, { subject: wheel, cause });
  });
  for await (const entry of zip.eachEntry()) {
    const name = basename(entry.fileName);
    const expected = missing.get(name);
    if (expected === undefined) continue;
    const chunks: Buffer[] = [];
    for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(Buffer.from(chunk));
    const bytes = Buffer.concat(chunks);
    if (createHash("sha256").update(bytes).digest("hex") !== expected) {
      throw new KilnError("file_corrupt", `${name} in ${wheel} is not that of OpenVINO ${OPENVINO_VERSION}. ${OFFLINE}`, {
        subject: wheel,
      });
    }
    await writeFile(join(folder, name), bytes);
    missing.delete(name);
  }
  if (missing.size > 0) {
    throw new KilnError(
      "file_corrupt",
      `${wheel} lacks ${[...missing.keys()].join(", ")}: it is not OpenVINO ${OPENVINO_VERSION} for Linux x64. ${OFFLINE}`,
      { subject: wheel },
    );
  }
}
