/** Memory, clocks and power of the first GPU while something runs, by nvidia-smi; nothing where there is none. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const FIELDS = ["memory.used", "utilization.gpu", "power.draw", "clocks.sm"];
const EVERY_MILLISECONDS = 200;

export class DeviceWatch {
  #child;
  #latest;
  #peak;

  start() {
    const args = [`--query-gpu=${FIELDS.join()}`, "--format=csv,noheader,nounits", "-i", "0", "-lms", `${EVERY_MILLISECONDS}`];
    this.#child = spawn("nvidia-smi", args, { stdio: ["ignore", "pipe", "ignore"] });
    this.#child.on("error", () => {}); // no such program: nothing is watched
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      const [usedMib, busy, watts, clock] = line.split(",").map(Number);
      this.#latest = { usedMib, busy, watts, clock };
      for (const [name, value] of Object.entries(this.#latest))
        if (!(this.#peak?.[name] >= value)) this.#peak = { ...this.#peak, [name]: value };
    });
  }

  /** MiB in use now; undefined where there is no GPU. */
  async usedMib() {
    if (!this.#latest) return undefined;
    await new Promise((resolve) => setTimeout(resolve, 2 * EVERY_MILLISECONDS));
    return this.#latest.usedMib;
  }

  /** The highest of each since the last call: { usedMib, busy %, watts, clock MHz }. */
  takePeak() {
    const peak = this.#peak;
    this.#peak = undefined;
    return peak;
  }

  stop() {
    this.#child?.kill();
  }
}
