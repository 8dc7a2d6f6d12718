import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../../", import.meta.url));

/** Where reference cases may lie: the full set beside the project, then the project's own part of it. */
export const REFERENCE_FOLDERS: readonly string[] = [
  join(root, "../shared/reference"),
  join(root, "packages/diffusion/fixtures/reference"),
];

/** The path of a file of the reference set ("cases/unet/tiny-xl-00.safetensors"), or undefined where neither set has it. */
export function referencePath(name: string): string | undefined {
  return REFERENCE_FOLDERS.map((folder) => join(folder, name)).find((path) => existsSync(path));
}
