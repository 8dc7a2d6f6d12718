import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import { KilnError } from "../../errors.ts";

/**
 * What the thread does: it calls one native function with what it is sent, one call after the other. It is text and not a file of
 * its own, because a thread that begins in TypeScript would need a loader where Kiln runs from its sources. koffi makes room for
 * calls in a thread when it first loads something there, and a call without crashes the process: so it loads the process itself.
 */
const PROGRAM = `
const { parentPort, workerData } = require("node:worker_threads");
const koffi = require(workerData.koffi);
koffi.load(null);
const run = koffi.decode(workerData.address, koffi.proto("void*", ["void*", "void*", "void*"]));
parentPort.on("message", ({ id, given }) => parentPort.postMessage({ id, status: run(...given) }));
`;

/** What the thread answers: null where the call went well, else the address of an error. */
interface Answer {
  readonly id: number;
  readonly status: bigint | null;
}

/**
 * The one thread on which networks run. The CUDA provider keeps its captured graphs and its libraries' handles by thread, so a run
 * that comes from another thread of a pool would find none of them, and capture and allocate everything anew.
 */
export class RunThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve: (status: bigint | null) => void; reject: (error: Error) => void }>();
  #calls = 0;
  #failure: Error | undefined;

  /** @param address of a function of three pointers that gives one. */
  constructor(address: bigint) {
    const koffi = createRequire(import.meta.url).resolve("koffi");
    this.#worker = new Worker(PROGRAM, { eval: true, workerData: { koffi, address } });
    this.#worker.unref();
    this.#worker.on("message", ({ id, status }: Answer) => this.#settle(id, (call) => call.resolve(status)));
    this.#worker.on("error", (error: Error) => this.#fail(error));
    this.#worker.on("exit", (code) => this.#fail(new Error(`the thread ended with ${code}`)));
  }

  /** Calls the function. @returns what it gave. */
  call(...given: readonly [bigint, bigint, bigint]): Promise<bigint | null> {
    if (this.#failure) return Promise.reject(ended(this.#failure));
    const id = this.#calls++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.ref(); // the process does not end while a network runs
      this.#worker.postMessage({ id, given });
    });
  }

  get isBusy(): boolean {
    return this.#waiting.size > 0;
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(id: number, how: (call: { resolve: (status: bigint | null) => void; reject: (error: Error) => void }) => void): void {
    const call = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if (call) how(call);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const id of [...this.#waiting.keys()]) this.#settle(id, (call) => call.reject(ended(error)));
  }
}

function ended(cause: Error): KilnError {
  return new KilnError("backend_failed", `The thread that runs networks has ended: ${cause.message}`, { cause });
}
