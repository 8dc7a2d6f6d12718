import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { z } from "zod";
import { PullError } from "./pull-error.ts";

/** What was pulled into one folder, so that it can be removed again and nothing else with it. */
const receiptSchema = z.object({
  place: z.enum(["cache", "models"]),
  root: z.string(),
  sources: z.array(z.string()),
  pulled_at: z.string(),
  /** Paths are relative to the root: the file, and in the cache also the content that it links to. */
  files: z.array(z.object({ source: z.string(), paths: z.array(z.string()).min(1), bytes: z.number(), sha256: z.string() })),
});
export type Receipt = z.output<typeof receiptSchema>;
export type ReceiptFile = Receipt["files"][number];

/** Receipts lie as files under the data folder, so that the service and the command line share them without a database. */
export class Receipts {
  readonly #folder: string;

  constructor(dataDir: string) {
    this.#folder = join(dataDir, "pulls");
  }

  async list(): Promise<Receipt[]> {
    const names = await readdir(this.#folder).catch(() => []);
    const receipts: Receipt[] = [];
    for (const name of names.filter((each) => each.endsWith(".json")).sort()) {
      const content = await readFile(join(this.#folder, name), "utf8").catch(() => "null");
      const parsed = receiptSchema.safeParse(JSON.parse(content));
      if (parsed.success) receipts.push(parsed.data);
    }
    return receipts;
  }

  /** Adds files to what is known of their folder. */
  async add(place: Receipt["place"], root: string, source: string, files: readonly Omit<ReceiptFile, "source">[]): Promise<void> {
    const path = resolve(root);
    const known = (await this.list()).find((receipt) => receipt.root === path);
    const paths = new Set(files.map((file) => file.paths[0]));
    await this.#write({
      place,
      root: path,
      sources: [...new Set([...(known?.sources ?? []), source])],
      pulled_at: new Date().toISOString(),
      files: [...(known?.files ?? []).filter((file) => !paths.has(file.paths[0])), ...files.map((file) => ({ ...file, source }))],
    });
  }

  /**
   * Removes what was pulled of a model: all that lies under its folder, or its one file. Returns the bytes that are free
   * again.
   * @throws PullError conflict for a model that was not pulled
   */
  async removeModel(id: string, path: string): Promise<number> {
    const absolute = resolve(path);
    const receipt = (await this.list()).find(({ root }) => isInside(absolute, root));
    const gone = receipt?.files.filter((file) => isInside(join(receipt.root, file.paths[0] ?? ""), absolute)) ?? [];
    if (!receipt || gone.length === 0)
      throw new PullError("conflict", `${id} was not pulled by Kiln; remove ${path} yourself if it is not needed.`);
    const kept = receipt.files.filter((file) => !gone.includes(file));
    const needed = new Set(kept.flatMap((file) => file.paths));
    for (const file of gone)
      for (const each of file.paths) if (!needed.has(each)) await removeWithin(receipt.root, join(receipt.root, each));
    if (kept.length > 0) await this.#write({ ...receipt, files: kept });
    else {
      if (receipt.place === "cache") await removeDangling(receipt.root);
      await rm(this.#pathOf(receipt.root), { force: true });
    }
    return gone.reduce((sum, file) => sum + file.bytes, 0);
  }

  async #write(receipt: Receipt): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const path = this.#pathOf(receipt.root);
    await writeFile(`${path}.partial`, `${JSON.stringify(receipt, undefined, 2)}\n`);
    await rename(`${path}.partial`, path);
  }

  #pathOf(root: string): string {
    return join(this.#folder, `${createHash("sha256").update(root).digest("hex").slice(0, 16)}.json`);
  }
}

/** Whether a path is the folder or lies in it. */
export function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

/** Removes a file, then the folders above it that are empty, up to and with the root. */
async function removeWithin(root: string, path: string): Promise<void> {
  if (!isInside(path, root) || relative(root, path) === "") return;
  await rm(path, { force: true });
  for (let folder = dirname(path); isInside(folder, root); folder = dirname(folder)) {
    if (
      !(await rmdir(folder).then(
        () => true,
        () => false,
      ))
    )
      return;
  }
}

/** References to commits of which nothing is left. */
async function removeDangling(root: string): Promise<void> {
  const refs = join(root, "refs");
  const entries = await readdir(refs, { recursive: true, withFileTypes: true }).catch(() => []);
  const snapshots = new Set(await readdir(join(root, "snapshots")).catch(() => []));
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && !snapshots.has((await readFile(path, "utf8")).trim())) await removeWithin(root, path);
  }
}
