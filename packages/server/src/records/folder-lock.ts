import { mkdirSync, readFileSync, readlinkSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { codeOf, ServiceError } from "../errors.ts";

/** A holder in another container cannot be asked whether it lives, so its silence decides. */
const SILENCE_SECONDS = 60;
const HEARTBEAT_SECONDS = 5;

interface Holder {
  pid: number;
  /** The kernel's start time of the process, because process ids come back. */
  started: string;
  /** Names the set of processes in which the pid means something: the machine's boot and the container. */
  place: string;
  host: string;
}

export interface FolderLock {
  release(): void;
}

/**
 * Takes a folder for this process alone. Two processes on one embedded database lose data without an error, so
 * the second one must not start. A dead holder's lock is taken over: at once where its process can be looked up,
 * after a minute's silence where it ran in another container. Raises `unavailable` while a live process holds it.
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, "kiln.lock");
  const own: Holder = { pid: process.pid, started: startOf(process.pid), place: placeOf(), host: hostname() };
  for (;;) {
    try {
      writeFileSync(path, JSON.stringify(own), { flag: "wx" });
      return keep(path, own);
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
    const state = examine(path, own.place);
    if (state === "dead") rmSync(path, { force: true });
    else if (state === "unknown") await sleep(1000);
    else
      throw new ServiceError(
        "unavailable",
        `${folder} is in use by process ${state.pid} on ${state.host}; stop it, or set another KILN_DATA_DIR.`,
      );
  }
}

function keep(path: string, own: Holder): FolderLock {
  const beat = setInterval(() => {
    try {
      utimesSync(path, new Date(), new Date());
    } catch {
      // The folder is away for now; the process that holds the database will fail on its own.
    }
  }, HEARTBEAT_SECONDS * 1000);
  beat.unref();
  return {
    release() {
      clearInterval(beat);
      try {
        const holder = parse(readFileSync(path, "utf8"));
        if (holder?.pid === own.pid && holder.started === own.started) rmSync(path, { force: true });
      } catch {
        // Already gone.
      }
    },
  };
}

/** The live holder, or that it is dead, or that nobody can say yet. */
function examine(path: string, place: string): Holder | "dead" | "unknown" {
  let holder: Holder | undefined;
  let silence: number;
  try {
    holder = parse(readFileSync(path, "utf8"));
    silence = (Date.now() - statSync(path).mtimeMs) / 1000;
  } catch {
    return "unknown"; // released in between
  }
  // A half-written file is being written now, or was left by a full disk.
  if (!holder) return silence > 5 ? "dead" : "unknown";
  if (holder.place !== place) return silence > SILENCE_SECONDS ? "dead" : silence > HEARTBEAT_SECONDS * 2 ? "unknown" : holder;
  return startOf(holder.pid) === holder.started ? holder : "dead";
}

function parse(text: string): Holder | undefined {
  try {
    const value = JSON.parse(text) as Partial<Holder> | null;
    if (!value || typeof value.pid !== "number" || typeof value.started !== "string" || typeof value.place !== "string")
      return undefined;
    return { pid: value.pid, started: value.started, place: value.place, host: String(value.host) };
  } catch {
    return undefined;
  }
}

/** When a process started, in the kernel's ticks; "" when there is no such process. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie holds nothing any more.
    return fields[0] === "Z" ? "" : (fields[19] ?? "");
  } catch {
    if (process.platform === "linux") return "";
  }
  try {
    process.kill(pid, 0);
    return "alive";
  } catch (error) {
    return codeOf(error) === "EPERM" ? "alive" : "";
  }
}

function placeOf(): string {
  try {
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()}/${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return hostname();
  }
}
