import { existsSync, readFileSync } from "node:fs";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

/** Where the page lies once it has been built. */
export const PAGE_FOLDER = fileURLToPath(new URL("../../../web/dist", import.meta.url));

/** The page loads itself and pictures, and runs nothing that is not a file of its own. Previews are data:. */
const CONTENT_POLICY =
  "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/** The files below /assets/ have their content's hash in their names. */
const HASHED_FILE_SECONDS = 31_536_000;

/** The headers of the page itself. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": CONTENT_POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-cache",
  "content-type": "text/html; charset=utf-8",
};

/** How long a file of the page may be kept, by its path or address. */
export function cacheControlOf(path: string): string {
  return path.includes("/assets/") ? `public, max-age=${HASHED_FILE_SECONDS}, immutable` : "no-cache";
}

/** Whether a request is a browser's for the page. */
export function wantsPage(method: string, url: string, accept: string | undefined): boolean {
  return method === "GET" && /^\/(?:\?|$)/.test(url) && (accept ?? "").includes("text/html") && existsSync(PAGE_FOLDER);
}

export function readPage(): Buffer {
  return readFileSync(`${PAGE_FOLDER}/index.html`);
}

export interface PageFile {
  headers: Record<string, string>;
  bytes: Buffer;
}

/** The types of the files that the page is built into. */
const TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};
/** A file of the page beside or below it, and nothing that climbs out of its folder. */
const FILE_ADDRESS = /^\/(?:assets\/)?[\w-]+(?:\.[\w-]+)+$/;

/** A script, style or icon of the page by its address, or undefined where there is none. */
export function readPageFile(url: string): PageFile | undefined {
  const type = TYPES[extname(url)];
  if (type === undefined || !FILE_ADDRESS.test(url) || !existsSync(PAGE_FOLDER + url)) return undefined;
  const headers = { "content-type": type, "cache-control": cacheControlOf(url), "x-content-type-options": "nosniff" };
  return { headers, bytes: readFileSync(PAGE_FOLDER + url) };
}
