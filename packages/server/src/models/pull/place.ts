import { createHash } from "node:crypto";
import { lstat, mkdir, readdir, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { gitHash, hashFile } from "./hash-file.ts";
import type { PullPlan, RemoteFile } from "./remote-file.ts";

/** Where a pull's files are put. Nothing is seen by the catalogue before `finish`. */
export interface Place {
  kind: "cache" | "models";
  /** The folder that holds this model and nothing else. */
  root: string;
  /** Whether the whole file lies there already. */
  has(file: RemoteFile): Promise<boolean>;
  /** Where the file is written while it arrives; its folder is there. */
  partialOf(file: RemoteFile): Promise<string>;
  /** The file is whole. Returns all paths that stand for it, relative to the root. */
  put(file: RemoteFile, sha256: string): Promise<string[]>;
  finish(): Promise<void>;
}

/**
 * The Hugging Face cache as other programs read and write it: contents under `blobs` by their hash, links to them
 * under `snapshots/<commit>`, and `refs/<revision>` with the commit, written last.
 */
export function cachePlace(hub: string, plan: PullPlan): Place | undefined {
  const { repository } = plan;
  if (!repository) return undefined;
  const root = join(hub, `models--${repository.id.replaceAll("/", "--")}`);
  const snapshot = join(root, "snapshots", repository.commit);
  const blobOf = (file: RemoteFile) => join(root, "blobs", file.sha256 ?? file.gitSha1 ?? "");
  const link = async (file: RemoteFile): Promise<string> => {
    const path = join(snapshot, file.path);
    await mkdir(dirname(path), { recursive: true });
    await rm(path, { force: true });
    await symlink(relative(dirname(path), blobOf(file)), path);
    return path;
  };
  return {
    kind: "cache",
    root,
    async has(file) {
      // Contents are named by their hash, so a blob of that name and length is the file, whichever program put it there.
      if ((file.sha256 ?? file.gitSha1) === undefined || !(await isWhole(blobOf(file), file))) return false;
      await link(file);
      return true;
    },
    async partialOf(file) {
      await mkdir(join(root, "blobs"), { recursive: true });
      return `${blobOf(file)}.partial`;
    },
    async put(file) {
      const blob = blobOf(file);
      await rename(`${blob}.partial`, blob);
      return [relative(root, await link(file)), relative(root, blob)];
    },
    async finish() {
      const ref = join(root, "refs", repository.revision);
      await mkdir(dirname(ref), { recursive: true });
      await writeFile(`${ref}.partial`, repository.commit);
      await rename(`${ref}.partial`, ref);
    },
  };
}

/** `MODELS_DIR/org--name`: plain files, which arrive in a hidden folder beside it. */
export function modelsPlace(models: string, plan: PullPlan): Place {
  const root = join(models, plan.name);
  const key = createHash("sha256").update(plan.files.map(({ path }) => path).join("\n"));
  const arriving = join(models, `.${plan.name}.${key.digest("hex").slice(0, 12)}.arriving`);
  const partialOf = (file: RemoteFile) =>
    join(arriving, `${file.path}.${(file.sha256 ?? file.gitSha1 ?? "any").slice(0, 16)}.partial`);
  return {
    kind: "models",
    root,
    async has(file) {
      const places = [join(arriving, file.path), join(root, file.path)];
      for (const path of places) if ((await isWhole(path, file)) && (await isSame(path, file))) return true;
      return false;
    },
    async partialOf(file) {
      const path = partialOf(file);
      await mkdir(dirname(path), { recursive: true });
      return path;
    },
    async put(file) {
      await rename(partialOf(file), join(arriving, file.path));
      return [file.path];
    },
    async finish() {
      await moveInto(arriving, root);
      await rm(arriving, { recursive: true, force: true });
    },
  };
}

async function isWhole(path: string, { bytes, exact }: RemoteFile): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true && (exact ? found.size === bytes : found.size > 0);
}

/** Compares the content: another version of a model has the same length. Without a hash nobody can say. */
async function isSame(path: string, { sha256, gitSha1 }: RemoteFile): Promise<boolean> {
  if (sha256 !== undefined) return (await hashFile(path, "sha256")) === sha256;
  return gitSha1 !== undefined && (await gitHash(path)) === gitSha1;
}

/** In one step where the target is not there, else file by file. */
async function moveInto(from: string, to: string): Promise<void> {
  if ((await lstat(from).catch(() => undefined)) === undefined) return;
  if ((await lstat(to).catch(() => undefined)) === undefined) {
    await rename(from, to);
    return;
  }
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await moveInto(source, target);
    else await rename(source, target);
  }
}
