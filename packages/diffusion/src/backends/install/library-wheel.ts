import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdtemp, readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { openPromise } from "yauzl";
import { KilnError } from "../../errors.ts";

/** A Python wheel that shared libraries are taken from. */
export interface LibraryWheel {
  readonly package: string;
  readonly version: string;
  /** As pip names it. */
  readonly platform: string;
  /** What one fetches, in MB. */
  readonly megabytes: number;
  /** Libraries by name, with the SHA-256 of each. */
  readonly libraries: ReadonlyMap<string, string>;
}

/** What to do on a machine that cannot fetch: told by every error of fetching. */
function offlineAdvice({ package: name, version, platform }: LibraryWheel): string {
  return `On a machine with network run "pip download ${name}==${version} --no-deps --only-binary=:all: --platform ${platform} --python-version ${PYTHON}", bring the .whl file here, and name it with --wheel.`;
}

/** Wheels that hold libraries alone are the same for every Python; of others, this one's is fetched. */
const PYTHON = "3.12";

/**
 * Fetches a wheel with pip, from whatever index pip is set up for.
 * @returns its path, in a new folder inside `scratch`
 * @throws KilnError backend_unavailable
 */
export async function fetchWheel(wheel: LibraryWheel, scratch: string, onProgress: (what: string) => void): Promise<string> {
  onProgress(`Fetching ${wheel.package} ${wheel.version} (${wheel.megabytes} MB) with pip`);
  const folder = await mkdtemp(join(scratch, "wheel-"));
  const wanted = [
    "download",
    `${wheel.package}==${wheel.version}`,
    "--no-deps",
    "--only-binary=:all:",
    "--platform",
    wheel.platform,
    "--python-version",
    PYTHON,
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
      if (!isMissing(cause)) {
        const advice = offlineAdvice(wheel);
        throw new KilnError("backend_unavailable", `${command} could not fetch ${wheel.package}: ${String(cause)}\n${advice}`, {
          cause,
        });
      }
    }
  }
  throw new KilnError(
    "backend_unavailable",
    `${wheel.package} is fetched with pip, which this machine does not have. ${offlineAdvice(wheel)}`,
  );
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

/**
 * Takes the libraries out of a wheel, which is a zip file, and holds each against its SHA-256.
 * @throws KilnError file_corrupt where the file is no wheel, of another release, or incomplete
 */
export async function unpackLibraries(file: string, wheel: LibraryWheel, folder: string): Promise<void> {
  const missing = new Map(wheel.libraries);
  const zip = await openPromise(file).catch((cause: unknown) => {
    throw new KilnError("file_corrupt", `${file} cannot be read as a wheel. ${offlineAdvice(wheel)}`, { subject: file, cause });
  });
  for await (const entry of zip.eachEntry()) {
    const name = basename(entry.fileName);
    const expected = missing.get(name);
    if (expected === undefined) continue;
    const hash = createHash("sha256");
    const hashed = new Transform({
      transform(chunk, _encoding, next) {
        hash.update(chunk);
        next(null, chunk);
      },
    });
    await pipeline(await zip.openReadStreamPromise(entry), hashed, createWriteStream(join(folder, name), { mode: 0o755 }));
    if (hash.digest("hex") !== expected) {
      throw new KilnError(
        "file_corrupt",
        `${name} in ${file} is not that of ${wheel.package} ${wheel.version}. ${offlineAdvice(wheel)}`,
        { subject: file },
      );
    }
    missing.delete(name);
  }
  if (missing.size > 0) {
    throw new KilnError(
      "file_corrupt",
      `${file} lacks ${[...missing.keys()].join(", ")}: it is not ${wheel.package} ${wheel.version} for Linux x64. ${offlineAdvice(wheel)}`,
      { subject: file },
    );
  }
}
