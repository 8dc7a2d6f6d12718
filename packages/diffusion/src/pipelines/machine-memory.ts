import { readFileSync } from "node:fs";
import { freemem } from "node:os";

/**
 * Bytes that this process could take in all: what it holds now and what is free, within the container's limit. Files in the
 * page cache count as free, since the system takes them back when memory is asked for.
 */
export function memoryInReach(): number {
  const held = anonymousBytes();
  const limit = process.constrainedMemory();
  const free = freemem(); // on Linux: MemAvailable
  // Without a limit the answer is 0, undefined or a number beyond any machine, by the version of Node and the system.
  return limit > 0 ? Math.min(limit, held + free) : held + free;
}

/** What the process holds beside mapped files. */
function anonymousBytes(): number {
  try {
    const [, kibibytes] = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
    if (kibibytes !== undefined) return Number(kibibytes) * 1024;
  } catch {
    // not Linux
  }
  return process.memoryUsage.rss();
}
