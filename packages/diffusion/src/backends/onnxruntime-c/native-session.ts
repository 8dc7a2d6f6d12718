import type { Handle, OrtLibrary } from "./ort-library.ts";

/** A compiled model with its inputs and outputs bound to places in memory. One run at a time. */
export class NativeSession {
  readonly #library: OrtLibrary;
  readonly #session: Handle;
  readonly #binding: Handle;

  constructor(library: OrtLibrary, session: Handle) {
    this.#library = library;
    this.#session = session;
    this.#binding = library.create("CreateIoBinding", session);
  }

  /** The tensor must outlive the runs. */
  bindInput(name: string, tensor: Handle): void {
    this.#library.do("BindInput", this.#binding, name, tensor);
  }

  bindOutput(name: string, tensor: Handle): void {
    this.#library.do("BindOutput", this.#binding, name, tensor);
  }

  /**
   * Runs once, on the thread of all runs; the outputs are in their places when it resolves.
   * @param config onnxruntime_run_options_config_keys.h.
   * @throws KilnError out_of_memory, backend_failed
   */
  async run(config: Readonly<Record<string, string>> = {}): Promise<void> {
    const library = this.#library;
    const options = library.create("CreateRunOptions");
    try {
      for (const [key, value] of Object.entries(config)) library.do("AddRunConfigEntry", options, key, value);
      await library.run(this.#session, options, this.#binding);
    } finally {
      library.release("ReleaseRunOptions", options, "CreateRunOptions");
    }
  }

  /** Ends the profile that the session was made with. @returns the file's name. */
  endProfile(): string {
    const allocator = this.#library.create("GetAllocatorWithDefaultOptions");
    this.#library.forget("GetAllocatorWithDefaultOptions");
    return this.#library.takeText(allocator, this.#library.create("SessionEndProfiling", this.#session, allocator));
  }

  release(): void {
    this.#library.release("ReleaseIoBinding", this.#binding, "CreateIoBinding");
    this.#library.release("ReleaseSession", this.#session, "CreateSessionFromArray");
  }
}
