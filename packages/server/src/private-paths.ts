import { readdirSync, statSync } from "node:fs";
import { posix, win32 } from "node:path";

/** The folders at the root of the file system: what tells a path (`/models/x`) from an address (`/v1/x`). */
const ROOTS: ReadonlySet<string> = new Set(listRoots());
/** What a name in a sentence is made of. An apostrophe inside a word belongs to it, others are quotes. */
const WORD = String.raw`(?:[^\s/\\"'${"`"}:;,()<>|?*]|(?<=\w)'(?=\w))+`;
/** What quotes hold, where it starts as a path does. */
const QUOTED = /(["'`])((?:[A-Za-z]:\\|\\\\|\/)(?:(?!\1(?!\w))[^\n])*)\1(?!\w)/g;
/** From the root to what ends it in a sentence, a blank for one. Not behind what an address has before its path, or a method. */
const POSIX = new RegExp(String.raw`(?<![\w.~/\]-]|\b(?:GET|HEAD|POST|PUT|PATCH|DELETE) )(?:/${WORD})+/?`, "g");
/** A path that goes on below a folder. */
const BELOW = new RegExp(`^(?:${WORD}(?:/${WORD})*/?)?`);
/** What may stand in a folder's name between the first blank or bracket and the slash behind it. */
const REST_OF_FOLDER = /^[^\n"`:;<>|?*/]{1,255}\//;
/** No sentence has a backslash, so blanks before one belong to a folder's name. */
const WINDOWS = new RegExp(String.raw`(?:\b[A-Za-z]:|(?<!\\)\\)\\+(?:${WORD}(?: +${WORD})*\\+)*(?:${WORD})?`, "g");

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
  const quoted = message
    .replaceAll("file://", "")
    .replace(QUOTED, (all, quote: string, path: string) => (isPath(path) ? quote + nameOf(path) + quote : all));
  return withoutBarePaths(quoted).replace(WINDOWS, nameOf);
}

function withoutBarePaths(message: string): string {
  let told = "";
  let end = 0;
  for (const { 0: match, index } of message.matchAll(POSIX)) {
    if (index < end || !isPath(match)) continue;
    let path = match;
    for (let next = intoFolder(path, message.slice(index)); next !== undefined; next = intoFolder(path, message.slice(index)))
      path = next;
    told += message.slice(end, index) + nameOf(path);
    end = index + path.length;
  }
  return told + message.slice(end);
}

/**
 * The path that a text goes on with where the path so far has ended inside a folder's name. Outside quotes only the disk
 * can tell such a name from the words of the sentence. Undefined where there is no such folder.
 */
function intoFolder(path: string, text: string): string | undefined {
  const [rest] = REST_OF_FOLDER.exec(text.slice(path.length)) ?? [];
  if (rest === undefined || !isFolder(path + rest)) return undefined;
  const [below = ""] = BELOW.exec(text.slice(path.length + rest.length)) ?? [];
  return path + rest + below;
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function isPath(text: string): boolean {
  const [, root] = /^\/([^/]+)/.exec(text) ?? [];
  return root === undefined ? !text.startsWith("/") : ROOTS.has(root.replace(/\.+$/, ""));
}

/** The last name; the dots of a sentence's end stay behind it. */
function nameOf(path: string): string {
  const [, bare = path, dots = ""] = /^(.*?)(\.*)$/s.exec(path) ?? [];
  return (path.startsWith("/") ? posix : win32).basename(bare) + dots;
}
