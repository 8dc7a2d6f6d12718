import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Settings } from "../settings/schema.ts";

const NAME = "keys-in-use";
const CONTENT = "API keys exist. Kiln reads this before its database is open, and removes it with the last key.\n";

/**
 * A file in the data folder that is there while API keys exist: the front door asks before the database is open. It
 * says what the last process to look knew, which is all there is to know of an embedded database.
 */
export class KeysMarker {
  readonly #path: string;

  constructor(dataDir: string) {
    this.#path = join(dataDir, NAME);
  }

  get isSet(): boolean {
    return existsSync(this.#path);
  }

  /** The marker of an installation; none where keys lie in a PostgreSQL, to which they may come from any machine. */
  static of({ KILN_DATA_DIR, DATABASE_URL }: Settings): KeysMarker | undefined {
    return DATABASE_URL === undefined ? new KeysMarker(KILN_DATA_DIR) : undefined;
  }

  /** Raises Node's own error where the folder cannot be written. */
  set(keysExist: boolean): void {
    if (keysExist === this.isSet) return;
    if (keysExist) writeFileSync(this.#path, CONTENT);
    else rmSync(this.#path, { force: true });
  }
}
