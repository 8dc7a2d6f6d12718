import { readdirSync } from "node:fs";
import { basename, win32 } from "node:path";

/** The folders at the root of the file system: what tells a path (`/models/x`) from an address (`/v1/x`). */
const ROOTS: ReadonlySet<string> = new Set(listRoots());
/** Segments of a path up to what ends it in a sentence. */
const POSIX = /(?<![\w.~/-])\/([^\s/"'`:;,()<>|?*]+)(?:\/[^\s/"'`:;,()<>|?*]+)*\/?/g;
const WINDOWS = /\b[A-Za-z]:\\[^\s"'`:;,()<>|?*]+/g;

function listRoots(): string[] {
  try {
    return readdirSync("/");
  } catch {
    return [];
  }
}

/**
 * A message for strangers: of a path on this machine its last name is left, which says which file is meant and not where
 * it lies. Logs keep the whole.
 */
export function withoutPaths(message: string): string {
  const named = (path: string, nameOf: (path: string) => string): string => {
    const [, bare = path, dots = ""] = /^(.*?)(\.*)$/s.exec(path) ?? [];
    return nameOf(bare) + dots;
  };
  return message
    .replaceAll("file://", "")
    .replace(POSIX, (path, root: string) => (ROOTS.has(root.replace(/\.+$/, "")) ? named(path, basename) : path))
    .replace(WINDOWS, (path) => named(path, win32.basename));
}
