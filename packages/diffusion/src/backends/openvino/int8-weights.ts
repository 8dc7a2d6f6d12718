import { createHash } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { readBytes } from "../../checkpoint/read-tensor.ts";
import { openSafetensors } from "../../checkpoint/safetensors.ts";
import { toFloat32 } from "../../checkpoint/storage-types.ts";
import { BYTES_PER_ELEMENT, type TensorView } from "../../checkpoint/tensor-view.ts";
import { elementCount } from "../../checkpoint/views.ts";
import { type TensorToWrite, writeSafetensors } from "../../checkpoint/write-safetensors.ts";
import { KilnError } from "../../errors.ts";
import type { Graph, Node, NodeOf } from "../../graph/graph.ts";
import { cacheFolder } from "../cache-folder.ts";
import { findInt8Layers } from "./int8-layers.ts";
import { quantizeRows } from "./quantize-rows.ts";

/** A matrix [rows, columns] in int8. */
export interface Int8Matrix {
  /** Signed bytes [rows, columns], stored as uint8, for checkpoints have no signed ones. */
  readonly values: TensorView;
  /** float32 [rows, 1]. */
  readonly scales: TensorView;
}

/** By the node whose weights they take the place of. */
export type Int8Weights = ReadonlyMap<Node, Int8Matrix>;

export interface Int8Options {
  /** Where files of int8 weights are kept; the user's cache if left out. */
  readonly int8Folder?: string;
  /** Told, in a sentence, before a file is made: that takes a while, and room on the disk. */
  readonly onNotice?: (sentence: string) => void;
}

/** Numbers that are read at once: some milliseconds of work, between which others have their turn. */
const PIECE = 1 << 20;

/**
 * The int8 form of a network's linear layers, from the file that an earlier call made, or made now: about a byte a weight, beside
 * the user's other caches. A file belongs to the weights' files as they are (path, size, time of change); files whose weights
 * have changed or gone are removed when a new one is made.
 * @throws KilnError file_unsupported where the file cannot be written
 */
export async function int8Weights(
  graph: Graph,
  { int8Folder: folder = cacheFolder("int8"), onNotice }: Int8Options = {},
): Promise<Int8Weights> {
  const layers = findInt8Layers(graph);
  if (layers.length === 0) return new Map();
  const sources = sourcesOf(layers);
  const path = join(folder, `${fingerprint(layers, sources)}.safetensors`);
  if (making.has(path)) await making.get(path);
  else if (!existsSync(path)) {
    const bytes = layers.reduce((sum, { attributes: { shape } }) => sum + elementCount(shape), 0);
    onNotice?.(`Rounding ${graph.name}'s weights to int8, once: ${Math.ceil(bytes / 2 ** 20)} MiB in ${folder}.`);
    const made = make(path, folder, layers, sources).finally(() => making.delete(path));
    making.set(path, made);
    await made;
  }
  const { tensors } = await openSafetensors(path);
  return new Map(layers.map((node, index) => [node, matrixOf(tensors, index)]));
}

/** Files that this process is making, by their paths: who wants the same one waits for it. */
const making = new Map<string, Promise<void>>();

/** A file that weights come from, as it was. */
interface Source {
  readonly path: string;
  readonly size: number;
  readonly modified: number;
}

/** The entry of a file's metadata that names its sources. */
const SOURCES = "sources";

function sourcesOf(layers: readonly NodeOf<"weight">[]): Source[] {
  const paths = new Set(layers.map(({ attributes }) => attributes.tensor.source).filter((source) => typeof source === "string"));
  return [...paths].sort().map((path) => {
    const { size, mtimeMs } = statSync(path);
    return { path, size, modified: mtimeMs };
  });
}

const FINGERPRINT_DIGITS = 32;

/** Names of files that are made here: nothing else in the folder is ever removed. */
const OWN_FILE = new RegExp(`^[0-9a-f]{${FINGERPRINT_DIGITS}}\\.safetensors(\\.\\d+\\.partial)?$`);

function fingerprint(layers: readonly NodeOf<"weight">[], sources: readonly Source[]): string {
  const places = layers.map(({ attributes: { tensor, shape } }) => [tensor.source, tensor.offset, tensor.type, shape]);
  return createHash("sha256")
    .update(JSON.stringify([sources, places]))
    .digest("hex")
    .slice(0, FINGERPRINT_DIGITS);
}

async function make(
  path: string,
  folder: string,
  layers: readonly NodeOf<"weight">[],
  sources: readonly Source[],
): Promise<void> {
  const tensors = layers.flatMap(({ attributes: { tensor, shape } }, index): TensorToWrite[] => {
    const [rows = 0, columns = 0] = shape;
    const scales = new Float32Array(rows);
    return [
      { name: `${index}.values`, type: "uint8", shape, bytes: () => quantized(tensor, columns, scales) },
      { name: `${index}.scales`, type: "float32", shape: [rows, 1], bytes: () => new Uint8Array(scales.buffer) },
    ];
  });
  try {
    await mkdir(folder, { recursive: true });
    await removeStale(folder);
    await writeSafetensors(path, tensors, { [SOURCES]: JSON.stringify(sources) });
  } catch (cause) {
    if (cause instanceof KilnError) throw cause;
    const message = `int8 weights cannot be written into ${folder}: make room there, or name another folder in XDG_CACHE_HOME.`;
    throw new KilnError("file_unsupported", message, { subject: folder, cause });
  }
}

/** The signed bytes of a matrix, piece by piece; the scales of its rows are filled in on the way. */
async function* quantized(tensor: TensorView, columns: number, scales: Float32Array): AsyncIterable<Uint8Array> {
  const rowBytes = columns * BYTES_PER_ELEMENT[tensor.type];
  const rowsAtOnce = Math.max(Math.floor(PIECE / columns), 1);
  for (let row = 0; row < scales.length; row += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, scales.length - row);
    const bytes = await readBytes({ ...tensor, offset: tensor.offset + row * rowBytes, byteLength: count * rowBytes });
    const piece = quantizeRows(toFloat32(bytes, tensor.type), columns);
    scales.set(piece.scales, row);
    yield new Uint8Array(piece.values.buffer);
  }
}

/** A file that is being written grows all the time; one that has not for so long was left by a process that was killed. */
const ABANDONED_MILLISECONDS = 3_600_000;

/** Removes files whose weights have changed or gone, and what was never finished. */
async function removeStale(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!OWN_FILE.test(name)) continue;
    const path = join(folder, name);
    if (name.endsWith(".partial")) {
      const written = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
      if (Date.now() - written > ABANDONED_MILLISECONDS) await rm(path, { force: true });
      continue;
    }
    const stays = await openSafetensors(path).then(
      ({ metadata }) => isCurrent(metadata.get(SOURCES)),
      () => false,
    );
    if (!stays) await rm(path, { force: true });
  }
}

function isCurrent(sources: string | undefined): boolean {
  const parsed: Source[] = JSON.parse(sources ?? "[]");
  return parsed.every(({ path, size, modified }) => {
    const found = statSync(path, { throwIfNoEntry: false });
    return found?.size === size && found.mtimeMs === modified;
  });
}

function matrixOf(tensors: ReadonlyMap<string, TensorView>, index: number): Int8Matrix {
  const [values, scales] = ["values", "scales"].map((part) => tensors.get(`${index}.${part}`));
  if (!values || !scales) throw new Error(`layer ${index} was not written`);
  return { values, scales };
}
