import { setTimeout as sleep } from "node:timers/promises";
import { seedOfPicture } from "../jobs/picture-seeds.ts";
import { KilnError } from "./kiln-error.ts";
import type { EngineEvent, EngineJob, PictureEngine } from "./picture-engine.ts";

/** The test engine's one model. */
export const TEST_MODEL = "kiln-test";

/** A step of a job that a test wants to find under way: however busy the machine is, it is not over before the test comes. */
const SLOW_MILLISECONDS = 1000;

/**
 * Draws a flat picture after as many idle steps as the request has. It is for benches and tests of everything
 * around the engine. Words in the prompt make it slow, or fail in the ways that a real engine fails.
 */
export class TestEngine implements PictureEngine {
  readonly device = "none";
  readonly backend = "test";
  readonly precision = "none";
  readonly #stepMilliseconds: number;
  readonly #loaded = new Set<string>();

  constructor(stepMilliseconds: number) {
    this.#stepMilliseconds = stepMilliseconds;
  }

  async load(model: { id: string }): Promise<void> {
    this.#loaded.add(model.id);
  }

  async unload(id: string): Promise<void> {
    this.#loaded.delete(id);
  }

  loaded(): string[] {
    return [...this.#loaded];
  }

  async *submit({ request, checkpoint }: EngineJob, signal: AbortSignal): AsyncIterable<EngineEvent> {
    this.#loaded.add(checkpoint.id);
    const pause = request.prompt.includes("[slow]") ? SLOW_MILLISECONDS : this.#stepMilliseconds;
    for (let step = 1; step <= request.steps; step++) {
      if (pause > 0) await sleep(pause);
      if (signal.aborted) throw new KilnError("cancelled", "The job was cancelled.");
      misbehave(request.prompt);
      yield { type: "progress", phase: "denoising", step, totalSteps: request.steps };
    }
    for (let index = 0; index < request.n; index++) {
      const seed = seedOfPicture(request, index);
      yield {
        type: "picture",
        picture: { index, seed, width: request.width, height: request.height, pixels: flat(request, seed) },
      };
    }
  }

  async memory() {
    return { process: process.memoryUsage().rss, deviceUsed: undefined, deviceTotal: undefined };
  }

  async close(): Promise<void> {}
}

/** One colour for each seed, so that a test sees which seed made a picture. */
function flat({ width, height }: { width: number; height: number }, seed: string): Uint8Array {
  const value = Number(BigInt(seed) & 0xffffffn);
  const pixels = new Uint8Array(width * height * 3);
  for (let offset = 0; offset < pixels.length; offset += 3) {
    pixels[offset] = value & 0xff;
    pixels[offset + 1] = (value >> 8) & 0xff;
    pixels[offset + 2] = (value >> 16) & 0xff;
  }
  return pixels;
}

function misbehave(prompt: string): void {
  if (prompt.includes("[crash]")) process.kill(process.pid, "SIGKILL");
  if (prompt.includes("[hang]")) for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  if (prompt.includes("[out of memory]")) throw new KilnError("out_of_memory", "The device has no memory left.");
  if (prompt.includes("[fail]")) throw new KilnError("numeric", "The UNet's output holds NaN.");
}
