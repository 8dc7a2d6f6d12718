import { type FileHandle, open } from "node:fs/promises";
import { readExactly } from "../checkpoint/safetensors.ts";
import { toFloat32 } from "../checkpoint/storage-types.ts";
import { BYTES_PER_ELEMENT, type TensorView } from "../checkpoint/tensor-view.ts";
import { KilnError } from "../errors.ts";

/** Rows that are kept. The words of a prompt come again; 2,048 rows of SDXL's wider table are 10 MB. */
const CACHED_ROWS = 2048;

/**
 * The token embedding of a text encoder, [tokens, width], read row by row from where it lies: a prompt needs at most
 * 77 of 49,408 rows, so the graph need not hold the table.
 */
export class EmbeddingTable {
  /** Number of tokens that have a row. */
  readonly rows: number;
  readonly width: number;
  readonly #view: TensorView;
  /** In the order of use, the oldest first. */
  readonly #cache = new Map<number, Float32Array>();

  /** @throws KilnError `checkpoint_incomplete` where the view is no matrix. */
  constructor(view: TensorView) {
    const [rows, width] = view.shape;
    if (rows === undefined || width === undefined || view.shape.length !== 2 || view.transposed === true)
      throw new KilnError(
        "checkpoint_incomplete",
        `The token embedding has the shape [${view.shape.join(", ")}] instead of [tokens, width].`,
      );
    this.rows = rows;
    this.width = width;
    this.#view = view;
  }

  /**
   * The rows of `ids` one after the other: [ids.length, width]. A position in `vectors` takes that vector instead.
   * @throws KilnError `checkpoint_incomplete` where an id has no row, `adapter_mismatch` for a vector of another width,
   *   `numeric` where a row holds NaN or infinity, `file_not_found` or `file_corrupt` where the file is gone or cut.
   */
  async lookUp(ids: readonly number[], vectors: ReadonlyMap<number, Float32Array> = new Map()): Promise<Float32Array> {
    const rows = await this.#load(ids.filter((_, position) => !vectors.has(position)));
    const out = new Float32Array(ids.length * this.width);
    for (const [position, id] of ids.entries()) {
      const row = this.#checked(vectors.get(position)) ?? rows.get(id);
      if (row !== undefined) out.set(row, position * this.width);
    }
    return out;
  }

  #checked(vector: Float32Array | undefined): Float32Array | undefined {
    if (vector === undefined || vector.length === this.width) return vector;
    throw new KilnError(
      "adapter_mismatch",
      `An embedding of width ${vector.length} does not fit a text encoder of width ${this.width}.`,
    );
  }

  /** The rows by id. They are gathered here and not in the cache, which a call beside this one may trim. */
  async #load(ids: readonly number[]): Promise<Map<number, Float32Array>> {
    const rows = new Map<number, Float32Array>();
    const missing = new Set<number>();
    for (const id of ids) {
      const cached = this.#cache.get(id);
      if (cached === undefined) missing.add(id);
      else rows.set(id, cached);
    }
    for (const [id, bytes] of await this.#read(missing)) rows.set(id, this.#decode(id, bytes));
    for (const [id, row] of rows) {
      this.#cache.delete(id);
      this.#cache.set(id, row);
    }
    this.#trim();
    return rows;
  }

  async #read(ids: ReadonlySet<number>): Promise<Map<number, Uint8Array>> {
    const found = new Map<number, Uint8Array>();
    const { source } = this.#view;
    if (ids.size === 0) return found;
    if (typeof source !== "string") {
      for (const id of ids) found.set(id, source.subarray(this.#offset(id), this.#offset(id) + this.#rowBytes));
      return found;
    }
    const file = await openFile(source);
    try {
      for (const id of ids) found.set(id, await readExactly(file, this.#offset(id), this.#rowBytes, source));
    } finally {
      await file.close();
    }
    return found;
  }

  get #rowBytes(): number {
    return this.width * BYTES_PER_ELEMENT[this.#view.type];
  }

  #offset(id: number): number {
    if (Number.isInteger(id) && id >= 0 && id < this.rows) return this.#view.offset + id * this.#rowBytes;
    throw new KilnError(
      "checkpoint_incomplete",
      `The token embedding has ${this.rows} rows and none for the token ${id}; use the tokenizer that belongs to this checkpoint.`,
    );
  }

  #decode(id: number, bytes: Uint8Array): Float32Array {
    const row = toFloat32(bytes, this.#view.type);
    if (row.every(Number.isFinite)) return row;
    throw new KilnError("numeric", `Row ${id} of the token embedding holds NaN or infinity; fetch the checkpoint again.`);
  }

  #trim(): void {
    for (const id of this.#cache.keys()) {
      if (this.#cache.size <= CACHED_ROWS) return;
      this.#cache.delete(id);
    }
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r");
  } catch (cause) {
    throw new KilnError("file_not_found", `${path} cannot be opened; it must stay where it is while the checkpoint is in use.`, {
      subject: path,
      cause,
    });
  }
}
