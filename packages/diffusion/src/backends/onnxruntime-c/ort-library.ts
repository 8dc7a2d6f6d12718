import { KilnError } from "../../errors.ts";
import { nativeCalls } from "../native-calls.ts";
import {
  type Action,
  API_VERSION,
  type Creator,
  FUNCTIONS,
  type FunctionName,
  type Parameter,
  type Releaser,
  type Result,
  TABLE_LENGTH,
} from "./api-table.ts";
import { failure } from "./failure.ts";
import { RunThread } from "./run-thread.ts";

/** The address of something native. */
export type Handle = bigint;

/** What functions of the table take; memory that is given must stay alive and in its place until the call returns. */
export type Argument = Handle | number | string | Uint8Array | BigInt64Array | BigUint64Array | readonly string[] | null;

/** The shared library, its functions by name, and errors as exceptions. */
export class OrtLibrary {
  /** "1.30.0". */
  readonly version: string;
  readonly #functions: Readonly<Record<FunctionName, NativeFunction>>;
  readonly #alive = new Map<Creator, number>();
  readonly #table: readonly unknown[];
  #runThread: RunThread | undefined;

  /**
   * @param path the shared library, which the system's loader takes as it is.
   * @throws KilnError backend_unavailable where it cannot be loaded, or is older than the functions called here
   */
  constructor(path: string) {
    const { version, table } = openTable(path);
    this.version = version;
    this.#table = table;
    const entries = Object.entries(FUNCTIONS).map(([name, { at, gives, takes }]) => [name, bind(table[at], gives, takes)]);
    this.#functions = Object.fromEntries(entries);
  }

  get build(): string {
    return String(this.#functions.GetBuildInfoString());
  }

  /**
   * Calls a function that gives nothing.
   * @throws KilnError out_of_memory, backend_failed with the library's own words
   */
  do(name: Action, ...given: readonly Argument[]): void {
    this.#check(name, this.#functions[name](...given));
  }

  /** Runs a session with a binding, on the thread of all runs: the event loop stays free. */
  async run(session: Handle, options: Handle, binding: Handle): Promise<void> {
    const address = this.#table[FUNCTIONS.RunWithBinding.at];
    if (typeof address !== "bigint") throw new Error("the table has no RunWithBinding");
    this.#runThread ??= new RunThread(address);
    this.#check("RunWithBinding", await this.#runThread.call(session, options, binding));
  }

  get isRunning(): boolean {
    return this.#runThread?.isBusy ?? false;
  }

  /** Ends the thread of runs. None may be in progress. */
  async endRuns(): Promise<void> {
    await this.#runThread?.end();
    this.#runThread = undefined;
  }

  /** Calls a function that makes something, and counts it until it is released. */
  create(name: Creator, ...given: readonly Argument[]): Handle {
    const cell: Cell = [null];
    this.#check(name, this.#functions[name](...given, cell));
    return this.#made(name, cell);
  }

  /** As `create`, on another thread. */
  async createAside(name: Creator, ...given: readonly Argument[]): Promise<Handle> {
    const cell: Cell = [null];
    await this.#aside(name, [...given, cell]);
    return this.#made(name, cell);
  }

  /** Frees what `create` made. */
  release(name: Releaser, made: Handle, by: Creator): void {
    this.#functions[name](made);
    this.forget(by);
  }

  /** What a function gave belongs to the library and is not to be released. */
  forget(by: Creator): void {
    this.#alive.set(by, (this.#alive.get(by) ?? 0) - 1);
  }

  /** What was made and not yet released, by the function that made it: tests hold it empty at the end. */
  get alive(): ReadonlyMap<Creator, number> {
    return new Map([...this.#alive].filter(([, count]) => count !== 0));
  }

  /** The text of a C string that the library allocated; it is freed. */
  takeText(allocator: Handle, text: Handle): string {
    const decoded: unknown = nativeCalls().decode(text, "char", -1);
    this.do("AllocatorFree", allocator, text);
    this.forget("SessionEndProfiling");
    return String(decoded);
  }

  #made(name: Creator, [handle]: Cell): Handle {
    if (handle === null) throw new KilnError("backend_failed", `ONNX Runtime's ${name} gave nothing.`);
    this.#alive.set(name, (this.#alive.get(name) ?? 0) + 1);
    return handle;
  }

  #aside(name: Action | Creator, given: readonly (Argument | Cell)[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#functions[name].async(...given, (error: unknown, status: unknown) => {
        try {
          if (error) throw new KilnError("backend_failed", `ONNX Runtime's ${name} could not be called: ${error}`);
          this.#check(name, status);
          resolve();
        } catch (reason) {
          reject(reason);
        }
      });
    });
  }

  #check(name: FunctionName, status: unknown): void {
    if (typeof status !== "bigint") return;
    const message = String(this.#functions.GetErrorMessage(status));
    this.#functions.ReleaseStatus(status);
    throw failure(name, message);
  }
}

type Cell = [Handle | null];

interface NativeFunction {
  (...given: readonly (Argument | Cell)[]): unknown;
  async: (...given: readonly unknown[]) => void;
}

/**
 * Libraries stay loaded until the process ends: koffi unloads one that nothing holds any more, and does not see that the functions
 * of a table belong to it.
 */
const LOADED = new Set<unknown>();

function openTable(path: string): { version: string; table: readonly unknown[] } {
  const koffi = nativeCalls();
  try {
    const library = koffi.load(path);
    LOADED.add(library);
    const base: unknown = library.func("void* OrtGetApiBase()")();
    const [getApi, getVersion]: unknown[] = koffi.decode(base, koffi.array("void*", 2));
    const version = String(koffi.decode(getVersion, koffi.proto("str", []))());
    const api: unknown = koffi.decode(getApi, koffi.proto("void*", ["uint32_t"]))(API_VERSION);
    if (api === null) throw new Error(`ONNX Runtime ${version} is too old`);
    return { version, table: koffi.decode(api, koffi.array("void*", TABLE_LENGTH)) };
  } catch (cause) {
    throw new KilnError("backend_unavailable", `ONNX Runtime cannot be loaded from ${path}: ${String(cause)}`, {
      subject: path,
      cause,
    });
  }
}

function bind(address: unknown, gives: Result, takes: readonly Parameter[]): NativeFunction {
  const koffi = nativeCalls();
  const types = {
    handle: "void*",
    out: koffi.out(koffi.pointer("void*")),
    text: "str",
    int: "int",
    size: "size_t",
    bytes: "void*",
    shape: "int64_t*",
    texts: "str*",
  };
  const results = { status: "void*", void: "void", text: "str", int: "int" };
  return koffi.decode(
    address,
    koffi.proto(
      results[gives],
      takes.map((parameter) => types[parameter]),
    ),
  );
}
