/** A process that measures: requests go to it as lines of JSON, one at a time, each with a limit of time. */
import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { createInterface } from "node:readline";

export class Worker {
  static #running = new Set();
  #child;
  #waiting;
  #ended;

  /** @param log the file that takes what the process prints to its error output. */
  constructor(command, args, { env = {}, log }) {
    this.#child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "pipe"], detached: true });
    this.#child.stderr.pipe(createWriteStream(log, { flags: "a" }));
    this.#child.stdin.on("error", () => {}); // a process that is gone answers by its end
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#waiting?.resolve(line));
    this.#ended = new Promise((resolve) => {
      this.#child.once("error", (error) => resolve(`could not start: ${error.message}`));
      this.#child.once("close", (code, signal) => resolve(`ended with ${signal ?? code}`));
    });
    this.#ended.then((how) => this.#waiting?.reject(new Error(`the process ${how}`)));
    Worker.#running.add(this);
    this.#ended.then(() => Worker.#running.delete(this));
  }

  /** Ends all that run: they are in groups of their own, and would go on computing beside whatever comes next. */
  static killAll() {
    for (const worker of Worker.#running) worker.kill();
  }

  /**
   * Asks for one thing.
   * @returns what the process answers, with its peak of host memory
   * @throws Error with the process's own words, when it ends, and when the time is over: then it is killed
   */
  async ask(request, seconds) {
    let timer;
    const line = await new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      timer = setTimeout(() => reject(new Error(`no answer within ${seconds} s`)), 1000 * seconds);
      this.#ended.then((how) => reject(new Error(`the process ${how}`)));
      this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    })
      .catch((error) => {
        this.kill();
        throw error;
      })
      .finally(() => {
        clearTimeout(timer);
        this.#waiting = undefined;
      });
    const { ok, error, hostPeakMib } = JSON.parse(line);
    if (error !== undefined) throw new Error(error);
    return { ...ok, hostPeakMib };
  }

  /** Ends it, and what it started. */
  kill() {
    try {
      process.kill(-this.#child.pid, "SIGKILL");
    } catch {
      // it has ended
    }
  }

  async close() {
    this.#child.stdin.end();
    const timer = setTimeout(() => this.kill(), 10_000);
    await this.#ended;
    clearTimeout(timer);
    this.kill(); // compilers that a library left behind
  }
}
