import { basename, resolve, sep } from "node:path";

/**
 * What people call a model: its file's name without extension, its folder's name, or the repository's name where it lies
 * in the Hugging Face cache (`models--org--name/snapshots/REVISION`).
 */
export function nameOf(path: string): string {
  const absolute = resolve(path);
  const parts = absolute.split(sep);
  const file = basename(absolute).replace(/\.safetensors$/i, "");
  const repository = parts
    .findLast((part) => part.startsWith("models--"))
    ?.split("--")
    .at(-1);
  if (repository === undefined) return file;
  return basename(absolute) === file ? repository : `${repository} ${file}`;
}
