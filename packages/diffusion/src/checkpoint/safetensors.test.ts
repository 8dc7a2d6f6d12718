import { mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KilnError } from "../errors.ts";
import { readTensor } from "./read-tensor.ts";
import { openSafetensors } from "./safetensors.ts";
import { MAX_HEADER_BYTES } from "./safetensors-header.ts";
import { writeSafetensors } from "./write-safetensors.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kiln-safetensors-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Header text and data as a file's bytes. */
function fileBytes(header: string, data: Uint8Array, claimed?: bigint): Buffer {
  const json = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimed ?? BigInt(json.length));
  return Buffer.concat([length, json, data]);
}

async function put(bytes: Uint8Array, name = "case.safetensors"): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

async function failure(path: string): Promise<KilnError> {
  const error: unknown = await openSafetensors(path).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!(error instanceof KilnError)) throw new Error(`no KilnError but ${String(error)}`);
  return error;
}

test("what is written is read back, at any alignment and through a symlink", async () => {
  const path = join(folder, "round.safetensors");
  const tensors = [
    { name: "odd", type: "uint8", shape: [3], bytes: () => new Uint8Array([1, 2, 3]) },
    { name: "matrix", type: "float32", shape: [2, 2], bytes: () => new Uint8Array(new Float32Array([1, -2, 3.5, 4]).buffer) },
    { name: "empty", type: "float16", shape: [0], bytes: () => new Uint8Array(0) },
    { name: "scalar", type: "float16", shape: [], bytes: () => [new Uint8Array([0]), new Uint8Array([0x3c])] },
    { name: "__proto__", type: "bool", shape: [1], bytes: () => new Uint8Array([1]) },
  ] as const;
  await writeSafetensors(path, tensors, { format: "pt" });
  const link = join(folder, "link.safetensors");
  await symlink(path, link);
  const file = await openSafetensors(link);
  expect(file.path).toBe(path);
  expect([...file.metadata]).toEqual([["format", "pt"]]);
  expect([...file.tensors.keys()].sort()).toEqual(["__proto__", "empty", "matrix", "odd", "scalar"]);
  const values = async (name: string) => {
    const view = file.tensors.get(name);
    return view === undefined ? undefined : [...(await readTensor(view))];
  };
  expect(await values("matrix")).toEqual([1, -2, 3.5, 4]);
  expect(await values("odd")).toEqual([1, 2, 3]);
  expect(await values("scalar")).toEqual([1]);
  expect(await values("empty")).toEqual([]);
});

describe("headers that lie", () => {
  const four = new Uint8Array(4);
  const entry = (fields: string) => `{"a":{${fields}}}`;
  const cases: readonly [what: string, header: string, data: Uint8Array, says: RegExp][] = [
    ["offsets beyond the end", entry('"dtype":"F32","shape":[2],"data_offsets":[0,8]'), four, /bytes 0 to 8 of 4/],
    ["offsets backwards", entry('"dtype":"F32","shape":[1],"data_offsets":[4,0]'), four, /bytes 4 to 0/],
    ["negative offsets", entry('"dtype":"F32","shape":[1],"data_offsets":[-4,0]'), four, /whole data_offsets/],
    ["fractions", entry('"dtype":"F32","shape":[1],"data_offsets":[0,4.5]'), four, /whole data_offsets/],
    ["three offsets", entry('"dtype":"F32","shape":[1],"data_offsets":[0,4,4]'), four, /whole data_offsets/],
    ["shape and bytes disagree", entry('"dtype":"F32","shape":[2],"data_offsets":[0,4]'), four, /does not fill its 4 bytes/],
    [
      "a product that overflows",
      entry('"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,4]'),
      four,
      /does not fill/,
    ],
    ["dimensions too large for a double", entry('"dtype":"F32","shape":[1e300],"data_offsets":[0,4]'), four, /whole numbers/],
    ["a negative dimension", entry('"dtype":"F32","shape":[-1],"data_offsets":[0,4]'), four, /whole numbers/],
    ["too many dimensions", entry('"dtype":"U8","shape":[1,1,1,1,1,1,1,1,4],"data_offsets":[0,4]'), four, /9 dimensions/],
    ["a missing dtype", entry('"shape":[1],"data_offsets":[0,4]'), four, /no dtype/],
    ["an entry that is no object", '{"a":[]}', four, /not described by an object/],
    ["a header that is no object", "[]", four, /does not begin with \{/],
    ["a header that is not JSON", '{"a":', four, /not valid JSON/],
    [
      "metadata of another type",
      '{"__metadata__":{"a":1},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
      four,
      /metadata entry "a"/,
    ],
    [
      "bytes that belong to nothing at the end",
      entry('"dtype":"U8","shape":[2],"data_offsets":[0,2]'),
      four,
      /end at byte 2 of 4/,
    ],
    ["bytes that belong to nothing at the start", entry('"dtype":"U8","shape":[2],"data_offsets":[2,4]'), four, /bytes 0 to 2/],
    [
      "tensors that overlap",
      '{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}',
      four,
      /overlaps/,
    ],
    [
      "a name twice",
      '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}',
      four,
      /twice/,
    ],
    ["a field twice", entry('"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]'), four, /twice/],
    ["a name without end", `{"${"n".repeat(600)}":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, four, /600 characters/],
  ];
  test.each(cases)("%s", async (_, header, data, says) => {
    const error = await failure(await put(fileBytes(header, data)));
    expect(error.code).toBe("file_corrupt");
    expect(error.message).toMatch(says);
    expect(error.message).toMatch(/Download it again/);
  });

  test("bytes that are not UTF-8", async () => {
    const bytes = fileBytes('{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}', four);
    bytes[10] = 0xff;
    expect((await failure(await put(bytes))).message).toMatch(/not valid JSON/);
  });

  test("a length that the file does not have", async () => {
    const header = '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}';
    for (const claimed of [BigInt(header.length) + 5n, 2n ** 63n, 2n ** 64n - 1n]) {
      expect((await failure(await put(fileBytes(header, four, claimed)))).code).toBe("file_corrupt");
    }
  });

  test("a header of 100 MB is refused before it is read", async () => {
    const path = await put(fileBytes("{", new Uint8Array(0), 100_000_000n));
    await truncate(path, 100_000_100); // sparse: takes no room
    const error = await failure(path);
    expect(error.message).toContain(String(MAX_HEADER_BYTES));
  });

  test("a truncated file, at every length", async () => {
    const whole = fileBytes('{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}', four);
    for (let length = 0; length < whole.length; length++) {
      expect((await failure(await put(whole.subarray(0, length)))).code).toBe("file_corrupt");
    }
  });

  test("an unknown number type is unsupported, and named", async () => {
    const error = await failure(await put(fileBytes(entry('"dtype":"C64","shape":[1],"data_offsets":[0,4]'), four)));
    expect(error.code).toBe("file_unsupported");
    expect(error.message).toContain('"C64"');
  });
});

describe("other files", () => {
  test("a file that is not there, and a folder", async () => {
    expect((await failure(join(folder, "nothing.safetensors"))).code).toBe("file_not_found");
    expect((await failure(folder)).code).toBe("file_unsupported");
  });
  test.each(["model.ckpt", "model.PT", "model.bin"])("%s is refused by its name", async (name) => {
    const error = await failure(await put(new Uint8Array(64), name));
    expect(error.code).toBe("file_unsupported");
    expect(error.message).toMatch(/pickle.*convert/);
  });
  test.each([
    ["a zip under a false name", Buffer.from("PK\u0003\u0004aaaaaaaaaaaaaaaa", "latin1"), "file_unsupported"],
    ["GGUF", Buffer.from("GGUFaaaaaaaaaaaaaaaa"), "file_unsupported"],
    ["a Git LFS pointer", Buffer.from("version https://git-lfs.github.com/spec/v1\n"), "file_corrupt"],
    ["a web page", Buffer.from("<!DOCTYPE html><html>"), "file_corrupt"],
    ["nothing", Buffer.alloc(0), "file_corrupt"],
  ])("%s", async (_, bytes, code) => {
    expect((await failure(await put(bytes))).code).toBe(code);
  });
});

describe("fuzz", () => {
  const header = JSON.stringify({
    __metadata__: { format: "pt" },
    "a.weight": { dtype: "F16", shape: [2, 2], data_offsets: [0, 8] },
    "b.weight": { dtype: "F32", shape: [2], data_offsets: [8, 16] },
  });
  const whole = fileBytes(header, new Uint8Array(16));

  /** Opens; anything but success or a KilnError fails the test. A success must describe bytes that are in the file. */
  async function survives(bytes: Uint8Array): Promise<void> {
    const path = await put(bytes, "fuzz.safetensors");
    try {
      const file = await openSafetensors(path);
      for (const view of file.tensors.values()) {
        expect(view.offset + view.byteLength).toBeLessThanOrEqual(bytes.length);
        await readTensor(view);
      }
    } catch (error) {
      if (!(error instanceof KilnError)) throw error;
    }
  }

  test("changed bytes", async () => {
    const change = fc.record({ at: fc.nat(whole.length - 1), byte: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), async (changes) => {
        const bytes = Buffer.from(whole);
        for (const { at, byte } of changes) bytes[at] = byte;
        await survives(bytes);
      }),
      { numRuns: 300 },
    );
  });

  test("changed JSON", async () => {
    const wild = fc.oneof(
      fc.json(),
      fc.constantFrom("-1", "1e999", "0.5", "9007199254740993", "[]", "{}", "null", '"F16"', "[0,8]", "[8,0]", '"__proto__"'),
    );
    const field = fc.constantFrom(
      '"F16"',
      "[2,2]",
      "[0,8]",
      "[8,16]",
      "[2]",
      '"a.weight"',
      '"b.weight"',
      '{"format":"pt"}',
      '"dtype"',
    );
    await fc.assert(
      fc.asyncProperty(field, wild, async (old, replacement) =>
        survives(
          fileBytes(
            header.replace(old, () => replacement),
            new Uint8Array(16),
          ),
        ),
      ),
      { numRuns: 300 },
    );
  });
});
