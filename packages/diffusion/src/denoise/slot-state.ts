import { parseSafetensorsHeader } from "../checkpoint/safetensors-header.ts";
import { encodeHeader } from "../checkpoint/write-safetensors.ts";
import { KilnError } from "../errors.ts";
import { restoreRandom } from "../random/create-random.ts";
import type { RandomState } from "../random/random.ts";
import { sequentialNoise } from "./noise-stream.ts";
import { Slot, type SlotDefinition, type SlotState } from "./slot.ts";

const FORMAT = "kiln slot state 1";
const LENGTH_BYTES = 8;
const HISTORY = "history.";
/** Multistep schedulers remember a handful of predictions. */
const MAX_HISTORY = 64;

/**
 * A slot's state as one buffer that describes itself: a safetensors file with the latents and what the scheduler remembers
 * as float32, and the rest in its metadata.
 */
export function serializeSlotState({ latents, scheduler, random }: SlotState): Uint8Array {
  const arrays: [string, Float32Array][] = [
    ["latents", latents],
    ...scheduler.history.map((array, i): [string, Float32Array] => [`${HISTORY}${i}`, array]),
  ];
  const header = encodeHeader(
    arrays.map(([name, { length }]) => ({ name, type: "float32", shape: [length] })),
    {
      format: FORMAT,
      index: String(scheduler.index),
      // As texts, because JSON has no infinity.
      numbers: JSON.stringify(Object.entries(scheduler.numbers).map(([name, value]) => [name, String(value)])),
      ...(random ? { random: JSON.stringify(random) } : {}),
    },
  );
  const bytes = new Uint8Array(header.length + arrays.reduce((sum, [, { byteLength }]) => sum + byteLength, 0));
  bytes.set(header);
  let at = header.length;
  for (const [, { buffer, byteOffset, byteLength }] of arrays) {
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at += byteLength;
  }
  return bytes;
}

/**
 * Reads what `serializeSlotState` wrote.
 * @throws KilnError file_corrupt for anything else
 */
export function parseSlotState(bytes: Uint8Array): SlotState {
  const length = headerLength(bytes);
  const data = LENGTH_BYTES + length;
  const what = "The state of the parked picture";
  const { metadata, entries } = parseSafetensorsHeader(bytes.subarray(LENGTH_BYTES, data), bytes.length - data, what);
  if (metadata.get("format") !== FORMAT) throw broken("another program or version wrote it");
  const arrays = new Map<string, Float32Array>();
  for (const [name, { type, begin, end }] of entries) {
    if (type !== "float32") throw broken(`${name} is not in float32`);
    arrays.set(name, new Float32Array(bytes.slice(data + begin, data + end).buffer));
  }
  const latents = arrays.get("latents");
  const history = Array.from({ length: Math.min(arrays.size - 1, MAX_HISTORY) }, (_, i) => arrays.get(`${HISTORY}${i}`));
  if (!latents || history.length !== arrays.size - 1 || !history.every((array) => array?.length === latents.length))
    throw broken("its tensors are not those of a state");
  const index = Number(metadata.get("index"));
  if (!Number.isSafeInteger(index) || index < 0) throw broken("it does not say how far the picture is");
  return {
    latents,
    scheduler: { index, history: history.filter((array) => array !== undefined), numbers: parseNumbers(metadata.get("numbers")) },
    random: parseRandom(metadata.get("random")),
  };
}

/**
 * A slot that goes on from a state, with the noise that comes next.
 * @param definition made from the same request as the slot that was parked.
 * @throws KilnError invalid_request where the state is another request's
 */
export function resumeSlot(definition: SlotDefinition, state: SlotState): Slot {
  const { begin, end, height, width, noise } = definition;
  const { index } = state.scheduler;
  if (index < begin || index > end || state.latents.length % (height * width) !== 0 || state.latents.length === 0) {
    const message = "The parked state belongs to another request: give the one that it was made with, or start from the seed.";
    throw new KilnError("invalid_request", message, { subject: "state" });
  }
  const { random } = state;
  const stream = random ? sequentialNoise(restoreRandom(random), state.latents.length) : noise;
  return new Slot({ ...definition, noise: stream }, state);
}

function headerLength(bytes: Uint8Array): number {
  if (bytes.length < LENGTH_BYTES) throw broken(`it has only ${bytes.length} bytes`);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > BigInt(bytes.length - LENGTH_BYTES)) throw broken("it is truncated");
  return Number(length);
}

function parseNumbers(text: string | undefined): Record<string, number> {
  const parsed = parseJson(text);
  if (!Array.isArray(parsed)) throw broken("its numbers cannot be read");
  const numbers: Record<string, number> = {};
  for (const entry of parsed) {
    const [name, value]: unknown[] = Array.isArray(entry) ? entry : [];
    if (typeof name !== "string" || typeof value !== "string") throw broken("its numbers cannot be read");
    numbers[name] = Number(value);
  }
  return numbers;
}

function parseRandom(text: string | undefined): RandomState | undefined {
  if (text === undefined) return undefined;
  const parsed = parseJson(text);
  if (!isRandomState(parsed)) throw broken("its random numbers cannot be read");
  restoreRandom(parsed); // refuses what no generator wrote
  return parsed;
}

function isRandomState(value: unknown): value is RandomState {
  if (typeof value !== "object" || value === null || !("kind" in value) || !("seed" in value) || !("words" in value))
    return false;
  const { kind, seed, words } = value;
  return (
    (kind === "torch-cpu" || kind === "philox") &&
    typeof seed === "string" &&
    Array.isArray(words) &&
    words.every((word) => typeof word === "number")
  );
}

function parseJson(text = ""): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw broken("its metadata is not JSON", cause);
  }
}

function broken(what: string, cause?: unknown): KilnError {
  const message = `The state of the parked picture cannot be read, as ${what}: start the picture again from its seed.`;
  return new KilnError("file_corrupt", message, { subject: "state", cause });
}
