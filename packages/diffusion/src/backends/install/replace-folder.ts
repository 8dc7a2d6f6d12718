import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/**
 * Fills a folder so that it appears when it is whole: what was there before stays until then, and nothing is left behind by a failure.
 * @param fill writes into `partial`, and keeps what it needs meanwhile in `scratch`.
 */
export async function replaceFolder(folder: string, fill: (partial: string, scratch: string) => Promise<void>): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), "kiln-accel-"));
  const partial = `${folder}.partial-${process.pid}`;
  try {
    await mkdir(dirname(folder), { recursive: true });
    await mkdir(partial, { recursive: true });
    await fill(partial, scratch);
    await rm(folder, { recursive: true, force: true });
    await rename(partial, folder);
  } finally {
    for (const leftover of [scratch, partial]) await rm(leftover, { recursive: true, force: true });
  }
}
