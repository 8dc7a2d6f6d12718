/** Where pictures lie. A key is `/`-separated segments of letters, digits, dots, dashes and underscores. */
export interface Storage {
  kind: "local" | "s3";
  /** Writes a whole file: until this resolves, readers see the old one or none. Replaces what is there. */
  put(key: string, bytes: Uint8Array, contentType: string): Promise<void>;
  /** The file's bytes, or undefined when there is none. */
  get(key: string): Promise<Buffer | undefined>;
  /** Removes a file; one that is not there counts as removed. */
  delete(key: string): Promise<void>;
  /** The keys that start with a prefix, in no order. */
  list(prefix: string): AsyncIterable<string>;
  /** An address that clients can read the file from without Kiln: CDN or presigned. Undefined where there is none. */
  address(key: string): Promise<string | undefined>;
  /** Raises `unavailable` or `storage_full` when a picture could not be written now. */
  check(): Promise<void>;
  close(): void;
}

const SEGMENT = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/;

/** Refuses a key that is no plain relative path, before any storage sees it. */
export function checkKey(key: string): string {
  if (key.length > 500 || !key.split("/").every((segment) => SEGMENT.test(segment))) {
    throw new TypeError(
      `"${key.slice(0, 100)}" is no storage key: segments of letters, digits, dots, dashes and underscores are.`,
    );
  }
  return key;
}
