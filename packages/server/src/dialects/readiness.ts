import type { ServerContext } from "../http/dialect.ts";
import { loadedModels } from "../http/native/models.ts";
import { preloadTarget } from "./depth/health.ts";

/**
 * Whether pictures can be drawn. Models come into memory with the first job that needs them, so a checkpoint that is
 * installed and an engine that answers count as loaded; with PRELOAD_MODEL, only the end of that.
 */
export class Readiness {
  readonly #context: ServerContext;
  #preloaded = false;
  #opened = false;

  constructor(context: ServerContext) {
    this.#context = context;
  }

  async isReady(): Promise<boolean> {
    try {
      await this.#context.checkReady();
    } catch {
      return false;
    }
    this.#preloaded ||= await this.#hasPreloaded();
    this.#opened ||= this.#preloaded;
    return this.#preloaded;
  }

  /** Whether it has ever been ready. After that the queue bridges the time in which an engine is replaced. */
  async hasOpened(): Promise<boolean> {
    return this.#opened || (await this.isReady());
  }

  async #hasPreloaded(): Promise<boolean> {
    const wanted = preloadTarget(this.#context);
    return wanted === undefined || (await loadedModels(this.#context)).has(wanted);
  }
}
