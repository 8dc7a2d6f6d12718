import { createRequire } from "node:module";
import type koffi from "koffi";

let loaded: typeof koffi | undefined;

/**
 * koffi, which calls native libraries. Loaded when a backend first needs it: whoever imports the package to look at
 * files, such as a gateway that leaves drawing to another process, gets no native code into its own.
 */
export function nativeCalls(): typeof koffi {
  const library: typeof koffi = loaded ?? createRequire(import.meta.url)("koffi");
  loaded = library;
  return library;
}
