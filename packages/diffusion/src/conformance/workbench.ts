import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Backend, Pipeline, TinyAutoencoder } from "../index.ts";

/** One of the forms in which a checkpoint lies in the folder. */
export interface Layout {
  readonly name: "folder" | "single";
  readonly path: string;
  /** The folder whose configs a single file needs. */
  readonly config?: string;
}

/** The files of a reference folder, and what has been opened of them. */
export class Workbench {
  readonly #folder: string;
  readonly #openBackend: () => Backend;
  readonly #pipelines = new Map<string, Promise<Pipeline>>();

  /** @param openBackend called once for each checkpoint. */
  constructor(folder: string, openBackend: () => Backend) {
    this.#folder = folder;
    this.#openBackend = openBackend;
  }

  /** The path of a file or folder under `checkpoints/`. */
  file(...name: readonly string[]): string {
    const path = join(this.#folder, "checkpoints", ...name);
    if (!existsSync(path)) throw new Error(`there is no ${path}`);
    return path;
  }

  /**
   * Where a checkpoint lies: as a folder with weights, as a single file whose configs are in the folder of its name, or as both.
   * @throws Error where it is in neither.
   */
  layouts(checkpoint: string): readonly Layout[] {
    const folder = join(this.#folder, "checkpoints", checkpoint);
    const single = `${folder}.safetensors`;
    const layouts: Layout[] = [];
    if (holdsWeights(join(folder, "unet"))) layouts.push({ name: "folder", path: folder });
    if (existsSync(single)) layouts.push({ name: "single", path: single, ...(existsSync(folder) ? { config: folder } : {}) });
    if (layouts.length === 0) throw new Error(`there is no checkpoint ${checkpoint}, as a folder or a single file`);
    return layouts;
  }

  /** The checkpoint's first layout, opened once. */
  pipeline(checkpoint: string): Promise<Pipeline> {
    const [layout] = this.layouts(checkpoint);
    if (!layout) throw new Error(`there is no checkpoint ${checkpoint}`);
    return this.open(layout);
  }

  open({ path, config }: Layout): Promise<Pipeline> {
    const known =
      this.#pipelines.get(path) ??
      Pipeline.load(path, { backend: this.#openBackend(), ...(config === undefined ? {} : { config }) });
    this.#pipelines.set(path, known);
    return known;
  }

  tinyAutoencoder(checkpoint: string): Promise<TinyAutoencoder> {
    return TinyAutoencoder.load(this.file(checkpoint), this.#openBackend());
  }

  async dispose(): Promise<void> {
    for (const pipeline of this.#pipelines.values()) await (await pipeline.catch(() => undefined))?.dispose();
    this.#pipelines.clear();
  }
}

function holdsWeights(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).some((name) => name.includes(".safetensors"));
}
