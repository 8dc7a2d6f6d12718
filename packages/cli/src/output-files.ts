import { constants, existsSync, statSync } from "node:fs";
import { access, mkdir } from "node:fs/promises";
import { dirname, extname, join, resolve } from "node:path";
import { type GeneratedPicture, KilnError } from "@kiln/diffusion";
import { invalid } from "./arguments.ts";

export type Format = "png" | "jpeg" | "webp";
export const FORMATS: readonly Format[] = ["png", "jpeg", "webp"];
const ENDINGS: Readonly<Record<string, Format>> = { ".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp" };

/** Where pictures go: a folder that names them itself, or one file (with the seed in its name where there are several). */
export interface Output {
  readonly folder: string;
  /** The name without its ending; undefined: `kiln-SEED`, counted up where that is taken. */
  readonly stem: string | undefined;
  readonly ending: string;
  readonly format: Format;
}

/**
 * Makes sure, before anything is drawn, that the pictures can be written.
 * @param out a folder (there, or ending in a slash: then it is made), or a file's name; default: the working folder
 * @throws KilnError invalid_request for an ending that is no picture's; file_not_found where nothing can be written
 */
export async function prepareOutput(out = ".", asked?: Format): Promise<Output> {
  const isFolder = /[\\/]$/.test(out) || (existsSync(out) && statSync(out).isDirectory());
  if (isFolder) {
    const format = asked ?? "png";
    const folder = resolve(out);
    await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
      throw unwritable(folder, cause);
    });
    await checkWritable(folder);
    return { folder, stem: undefined, ending: format === "jpeg" ? ".jpg" : `.${format}`, format };
  }
  const ending = extname(out);
  const format = ENDINGS[ending.toLowerCase()];
  if (format === undefined)
    throw invalid("--out", `--out must be a folder, or end in ${Object.keys(ENDINGS).join(", ")}; "${out}" does not.`);
  if (asked !== undefined && asked !== format)
    throw invalid("--format", `--format ${asked} contradicts --out ${out}: leave one of them out.`);
  const path = resolve(out);
  await checkWritable(dirname(path));
  return { folder: dirname(path), stem: path.slice(dirname(path).length + 1, -ending.length), ending, format };
}

/**
 * Writes one picture; the file appears when it is whole.
 * @param several puts the seed into a name that was given
 * @returns the file's path
 */
export async function writePicture(
  picture: GeneratedPicture,
  output: Output,
  { several, metadata }: { several: boolean; metadata: boolean },
): Promise<string> {
  const path = pathFor(output, picture.seed, several);
  await picture.save(path, { metadata });
  return path;
}

function pathFor({ folder, stem, ending }: Output, seed: bigint, several: boolean): string {
  if (stem !== undefined) return join(folder, `${stem}${several ? `-${seed}` : ""}${ending}`);
  for (let n = 1; ; n++) {
    const path = join(folder, `kiln-${seed}${n === 1 ? "" : `-${n}`}${ending}`);
    if (!existsSync(path)) return path;
  }
}

async function checkWritable(folder: string): Promise<void> {
  await access(folder, constants.W_OK).catch((cause: unknown) => {
    throw unwritable(folder, cause);
  });
}

function unwritable(path: string, cause: unknown): KilnError {
  return new KilnError(
    "file_not_found",
    `${path} cannot be written: check that the folder exists and may be written to, or name another with --out.`,
    {
      subject: "--out",
      cause,
    },
  );
}
