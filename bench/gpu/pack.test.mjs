import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keepDeviceCode } from "./device-code.mjs";
import { cut, loadsOf, readManifest, writeManifest } from "./pieces.mjs";

const UNPACK = fileURLToPath(new URL("./unpack.sh", import.meta.url));
let folder;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kiln-pack-test-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Packs two components into pieces of 1,000 bytes; `big` takes several. */
async function packed() {
  const pieces = join(folder, "pieces");
  mkdirSync(pieces);
  const noise = Buffer.from(Array.from({ length: 2500 }, (_, i) => (i * i * 2654435761) >>> 13));
  const components = [];
  for (const [name, bytes] of [
    ["big", noise],
    ["small", Buffer.from("few")],
  ]) {
    mkdirSync(join(folder, name, "deep"), { recursive: true });
    writeFileSync(join(folder, name, "deep/file"), bytes, { mode: 0o755 });
    const archive = join(folder, `${name}.tar.xz`);
    expect(spawnSync("tar", ["-cJf", archive, "-C", folder, name]).status).toBe(0);
    components.push(await cut(archive, { name, folder: pieces, pieceBytes: 1000 }));
  }
  await writeManifest(pieces, components);
  return { pieces, components, noise };
}

/** As on a machine with little more than coreutils: no Node on the path. */
function unpack(pieces) {
  const target = join(folder, "target");
  const { status, stdout, stderr } = spawnSync("bash", [UNPACK, target, pieces], {
    env: { PATH: "/usr/bin:/bin" },
    encoding: "utf8",
  });
  return { target, status, text: stdout + stderr };
}

describe("pieces", () => {
  it("come together again, whatever call brought them", async () => {
    const { pieces, components, noise } = await packed();
    const [big] = components;
    expect(big.pieces.length).toBeGreaterThan(2);
    expect(big.pieces.every(({ bytes }) => bytes <= 1000)).toBe(true);

    const first = join(folder, "first call");
    mkdirSync(first);
    for (const file of ["manifest.tsv", big.pieces[1].file, "small.tar.xz.001"])
      copyFileSync(join(pieces, file), join(first, file));
    const partly = unpack(first);
    expect(partly.status).toBe(3);
    expect(partly.text).toContain(`Still missing: ${big.pieces[0].file} ${big.pieces[2].file}`);
    expect(readFileSync(join(partly.target, "small/deep/file"), "utf8")).toBe("few");

    rmSync(join(pieces, big.pieces[1].file));
    const { status, target } = unpack(pieces);
    expect(status).toBe(0);
    expect(readFileSync(join(target, "big/deep/file")).equals(noise)).toBe(true);
    expect(statSync(join(target, "big/deep/file")).mode & 0o111).toBe(0o111);
    expect(readdirSync(join(target, ".pieces"))).toEqual([]);
    expect(unpack(pieces).text).not.toContain("Unpacking");
  });

  it("are refused by name where they are damaged, and nothing of their component is unpacked", async () => {
    const { pieces, components } = await packed();
    const { file } = components[0].pieces[2];
    const bytes = readFileSync(join(pieces, file));
    bytes[10] ^= 1;
    writeFileSync(join(pieces, file), bytes);
    const { status, text, target } = unpack(pieces);
    expect(status).toBe(1);
    expect(text).toContain(`Damaged, bring them again: ${file}`);
    expect(readdirSync(target)).not.toContain("big");
  });

  it("are listed in the manifest as they were cut, and put into loads that fit", async () => {
    const { pieces, components } = await packed();
    expect([...(await readManifest(pieces)).values()]).toEqual(components);
    const loads = loadsOf(components, 2000);
    expect(loads.flatMap(({ files }) => files).sort()).toEqual(
      components.flatMap((each) => each.pieces.map(({ file }) => file)).sort(),
    );
    expect(loads.every(({ bytes }) => bytes <= 2000)).toBe(true);
  });
});

/** An ELF file of 64 bits whose only section beside the names is .nv_fatbin. */
function library(fatbin) {
  const names = Buffer.from("\0.nv_fatbin\0.shstrtab\0", "latin1");
  const bytes = Buffer.alloc(64 + 3 * 64 + names.length + fatbin.length);
  bytes.write("\x7fELF\x02\x01", "latin1");
  bytes.writeBigUInt64LE(64n, 0x28);
  for (const [at, value] of [
    [0x3a, 64],
    [0x3c, 3],
    [0x3e, 2],
  ])
    bytes.writeUInt16LE(value, at);
  const start = 64 + 3 * 64;
  for (const [index, name, offset, size] of [
    [1, 1, start + names.length, fatbin.length],
    [2, 12, start, names.length],
  ]) {
    bytes.writeUInt32LE(name, 64 + index * 64);
    bytes.writeBigUInt64LE(BigInt(offset), 64 + index * 64 + 0x18);
    bytes.writeBigUInt64LE(BigInt(size), 64 + index * 64 + 0x20);
  }
  names.copy(bytes, start);
  fatbin.copy(bytes, start + names.length);
  return { bytes, at: start + names.length };
}

function entry(architecture, payload) {
  const header = Buffer.alloc(64);
  header.writeUInt32LE(64, 4);
  header.writeBigUInt64LE(BigInt(payload.length), 8);
  header.writeUInt32LE(architecture, 28);
  return Buffer.concat([header, Buffer.from(payload)]);
}

function container(...entries) {
  const body = Buffer.concat(entries);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(0xba55ed50, 0);
  header.writeUInt16LE(16, 6);
  header.writeBigUInt64LE(BigInt(body.length), 8);
  return Buffer.concat([header, body]);
}

describe("device code", () => {
  it("of other architectures goes, and every container stays where it is", () => {
    const whole = container(entry(80, "eighty!!"), entry(90, "ninety!!"), entry(120, "more"));
    const other = container(entry(120, "alone..."));
    const { bytes, at } = library(Buffer.concat([whole, Buffer.alloc(4), other]));
    const counted = keepDeviceCode(bytes, 90);
    expect(counted).toEqual({ before: 72 + 72 + 68 + 72, after: 72 + 72 });
    const expected = container(entry(90, "ninety!!"));
    expect(bytes.subarray(at, at + whole.length)).toEqual(
      Buffer.concat([expected, Buffer.alloc(whole.length - expected.length)]),
    );
    expect(bytes.subarray(at + whole.length + 4)).toEqual(other);
  });

  it("stays whole where there is none, and an unknown layout is refused", () => {
    const plain = library(Buffer.alloc(0)).bytes;
    expect(keepDeviceCode(Buffer.from(plain), 90)).toEqual({ before: 0, after: 0 });
    const torn = container(entry(90, "ninety!!"));
    torn.writeBigUInt64LE(1000n, 8);
    expect(() => keepDeviceCode(library(torn).bytes, 90)).toThrow("unknown layout");
    expect(() => keepDeviceCode(Buffer.alloc(100), 90)).toThrow("no ELF");
  });
});
