import type { ChildProcess } from "node:child_process";
import { KilnError } from "./kiln-error.ts";
import { launchEngine } from "./launch.ts";
import type { EngineJob, EngineMemory, ModelFiles } from "./picture-engine.ts";
import {
  type EncodedPicture,
  type EngineAbout,
  type EngineOptions,
  FATAL_CODES,
  type FromEngine,
  type ToEngine,
} from "./protocol.ts";

/** The engine's process ended, or had to be ended, while a job was in flight. */
export class EngineDied extends Error {
  override readonly name = "EngineDied";
  /** What is known about the death, for whoever reads why a job was set aside. */
  readonly evidence: string;

  constructor(evidence: string) {
    super(`The engine process died: ${evidence}`);
    this.evidence = evidence;
  }
}

export type EngineNews = Extract<FromEngine, { type: "progress" | "preview" | "warning" }>;

export interface SupervisorOptions {
  engine: EngineOptions;
  hangSeconds: number;
  onLog(level: "info" | "warn", message: string, details?: object): void;
}

interface Flight {
  resolve(pictures: EncodedPicture[]): void;
  reject(error: Error): void;
  onNews(news: EngineNews): void;
  pictures: EncodedPicture[];
  lastNews: string;
}

/** Kept of the engine's last words: enough for a stack or a native library's complaint. */
const STDERR_TAIL = 4000;
const LONGEST_PAUSE_MILLISECONDS = 30_000;
const STOP_MILLISECONDS = 3000;

/**
 * Keeps one engine process alive: starts it, watches it, and replaces it when it dies, hangs or has run out of
 * memory. Whoever has a job in flight then gets EngineDied and decides what becomes of the job.
 */
export class EngineSupervisor {
  readonly #options: SupervisorOptions;
  readonly #flights = new Map<string, Flight>();
  readonly #calls = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  #child: ChildProcess | undefined;
  #ready: PromiseWithResolversLike<EngineAbout> = withResolvers();
  #about: EngineAbout | undefined;
  #memory: EngineMemory | undefined;
  #peakBytes = 0;
  #loaded: string[] = [];
  #lastHeard = 0;
  #startedAt = 0;
  #stderr = "";
  #verdict = "";
  #failuresInARow = 0;
  #nextCall = 1;
  #stopping = false;
  #watch: NodeJS.Timeout | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Starts the process; resolves when it is ready. Raises KilnError when the engine refuses its options. */
  async start(): Promise<EngineAbout> {
    this.#watch = setInterval(() => this.#checkHang(), 1000);
    this.#watch.unref();
    this.#launch();
    return await this.#ready.promise;
  }

  get about(): EngineAbout | undefined {
    return this.#about;
  }

  get memory(): EngineMemory | undefined {
    return this.#memory;
  }

  /** The most that any engine process has held, of its device's memory where it has one, as far as beats have shown. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  get loaded(): readonly string[] {
    return this.#loaded;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get isReady(): boolean {
    return this.#about !== undefined;
  }

  /** Draws a job. Raises EngineDied, or KilnError with the engine's code (`cancelled` after the signal). */
  async run(job: EngineJob, signal: AbortSignal, onNews: (news: EngineNews) => void): Promise<EncodedPicture[]> {
    await this.#ready.promise;
    if (signal.aborted) throw new KilnError("cancelled", "The job was cancelled.");
    return await new Promise((resolve, reject) => {
      if (this.#flights.size === 0) this.#lastHeard = Date.now();
      const cancel = () => this.#send({ type: "cancel", job: job.id });
      const settle = () => {
        this.#flights.delete(job.id);
        signal.removeEventListener("abort", cancel);
      };
      this.#flights.set(job.id, {
        onNews,
        pictures: [],
        lastNews: "submitted",
        resolve: (pictures) => {
          settle();
          resolve(pictures);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      signal.addEventListener("abort", cancel);
      this.#send({ type: "submit", job });
    });
  }

  async load(model: ModelFiles): Promise<void> {
    await this.#call((call) => ({ type: "load", call, model }));
  }

  async unload(id: string): Promise<void> {
    await this.#call((call) => ({ type: "unload", call, id }));
  }

  /** Ends the process, kindly first. Jobs in flight get EngineDied. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#watch);
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    this.#send({ type: "stop" });
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MILLISECONDS);
    await ended;
    clearTimeout(timer);
  }

  #launch(): void {
    this.#about = undefined;
    this.#loaded = [];
    this.#stderr = "";
    this.#verdict = "";
    this.#startedAt = Date.now();
    const child = launchEngine();
    this.#child = child;
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_TAIL);
    });
    child.on("message", (message) => this.#receive(message as FromEngine));
    child.on("error", (error) => {
      this.#stderr = `${this.#stderr}\n${error.message}`;
      // What the system did not start, because there are too many processes, has no end to be heard of.
      if (child.pid === undefined) this.#died(child, null, null);
    });
    child.once("exit", (code, signal) => this.#died(child, code, signal));
    this.#send({ type: "start", options: this.#options.engine });
  }

  #send(message: ToEngine): void {
    // A message to a process that has just died is answered by its exit.
    if (this.#child?.connected) this.#child.send(message, () => {});
  }

  async #call(message: (call: number) => ToEngine): Promise<unknown> {
    await this.#ready.promise;
    const call = this.#nextCall++;
    return await new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject });
      this.#send(message(call));
    });
  }

  #receive(message: FromEngine): void {
    if (message.type === "ready") {
      this.#about = message.about;
      this.#options.onLog("info", "engine ready", { pid: this.#child?.pid, ...message.about });
      this.#ready.resolve(message.about);
    } else if (message.type === "refused") {
      this.#stopping = true;
      this.#ready.reject(new KilnError(message.error.code, message.error.message));
      this.#child?.kill("SIGKILL");
    } else if (message.type === "beat") {
      this.#memory = message.memory;
      this.#peakBytes = Math.max(this.#peakBytes, message.memory.deviceUsed ?? message.memory.process);
      this.#loaded = message.loaded;
    } else if (message.type === "notice") {
      this.#options.onLog("info", message.message);
    } else if (message.type === "answer" || message.type === "error") {
      const call = this.#calls.get(message.call);
      this.#calls.delete(message.call);
      if (message.type === "answer") call?.resolve(message.value);
      else call?.reject(new KilnError(message.error.code, message.error.message));
    } else {
      this.#receiveNews(message);
    }
  }

  #receiveNews(message: Extract<FromEngine, { job: string }>): void {
    this.#lastHeard = Date.now();
    const flight = this.#flights.get(message.job);
    if (!flight) return;
    switch (message.type) {
      case "picture":
        flight.pictures.push(message.picture);
        break;
      case "finished":
        this.#failuresInARow = 0;
        flight.resolve(flight.pictures.sort((a, b) => a.index - b.index));
        break;
      case "failed":
        flight.reject(new KilnError(message.error.code, message.error.message));
        // The process goes on as if nothing had happened, but its memory does not.
        if (FATAL_CODES.has(message.error.code)) this.#end(`it reported ${message.error.code}: ${message.error.message}`);
        break;
      case "progress":
        flight.lastNews = `${message.phase}, step ${message.step} of ${message.totalSteps}`;
        flight.onNews(message);
        break;
      default:
        flight.onNews(message);
    }
  }

  #checkHang(): void {
    if (this.#flights.size === 0 || !this.#about) return;
    const silence = (Date.now() - this.#lastHeard) / 1000;
    if (silence > this.#options.hangSeconds)
      this.#end(`it said nothing for ${Math.round(silence)} s with ${this.#flights.size} jobs in flight`);
  }

  /** Ends the process. From now on whoever comes waits for the next one. */
  #end(verdict: string): void {
    this.#verdict = verdict;
    if (this.#about) this.#ready = withResolvers();
    this.#about = undefined;
    this.#child?.kill("SIGKILL");
  }

  #died(child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
    if (child !== this.#child) return;
    const cause = this.#verdict || (signal ? `signal ${signal}` : code === null ? "it did not start" : `exit code ${code}`);
    const seconds = Math.round((Date.now() - this.#startedAt) / 1000);
    const words = this.#stderr.trim() === "" ? "" : `; its last words: ${this.#stderr.trim().slice(-1000)}`;
    if (this.#about) this.#ready = withResolvers();
    this.#about = undefined;
    this.#loaded = [];
    for (const flight of [...this.#flights.values()]) {
      flight.reject(new EngineDied(`${cause}, after ${seconds} s, at ${flight.lastNews}${words}`));
    }
    for (const call of this.#calls.values()) call.reject(new EngineDied(cause));
    this.#calls.clear();
    if (this.#stopping) {
      this.#ready.promise.catch(() => {});
      this.#ready.reject(new EngineDied("the server is stopping"));
      return;
    }
    const pause = this.#failuresInARow === 0 ? 0 : Math.min(LONGEST_PAUSE_MILLISECONDS, 250 * 2 ** this.#failuresInARow);
    this.#failuresInARow++;
    this.#options.onLog("warn", "engine died; starting another", { cause, seconds, pause });
    setTimeout(() => {
      if (!this.#stopping) this.#launch();
    }, pause);
  }
}

interface PromiseWithResolversLike<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

function withResolvers<T>(): PromiseWithResolversLike<T> {
  let resolve: (value: T) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
