/** Archives cut into pieces of a limited size, and the manifest by which unpack.sh checks and joins them. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { finished } from "node:stream/promises";

export const MANIFEST = "manifest.tsv";

/**
 * Cuts an archive into numbered pieces, at any byte; older pieces of its name go.
 * @param name of the component; pieces are NAME.tar.xz.001, ...
 * @returns the component as the manifest lists it
 */
export async function cut(archive, { name, folder, pieceBytes }) {
  await dropPieces(folder, name);
  const whole = createHash("sha256");
  const pieces = [];
  let open;
  const close = async () => {
    if (!open) return;
    open.stream.end();
    await finished(open.stream);
    pieces.push({ file: open.file, bytes: open.bytes, sha256: open.hash.digest("hex") });
    open = undefined;
  };
  let bytes = 0;
  for await (let chunk of createReadStream(archive, { highWaterMark: 1 << 20 })) {
    whole.update(chunk);
    bytes += chunk.length;
    while (chunk.length > 0) {
      if (!open) {
        const file = `${name}.tar.xz.${String(pieces.length + 1).padStart(3, "0")}`;
        open = { file, stream: createWriteStream(join(folder, file)), hash: createHash("sha256"), bytes: 0 };
      }
      const part = chunk.subarray(0, pieceBytes - open.bytes);
      open.hash.update(part);
      open.bytes += part.length;
      if (!open.stream.write(part)) await new Promise((resolve) => open.stream.once("drain", resolve));
      if (open.bytes === pieceBytes) await close();
      chunk = chunk.subarray(part.length);
    }
  }
  await close();
  return { name, bytes, sha256: whole.digest("hex"), pieces };
}

export async function dropPieces(folder, name) {
  const old = (await readdir(folder)).filter((file) => file.startsWith(`${name}.tar.xz.`));
  await Promise.all(old.map((file) => rm(join(folder, file))));
}

/** The manifest is read by a shell: one line a component and one a piece, fields between tabs. */
export async function writeManifest(folder, components) {
  const lines = components.flatMap(({ name, sha256, bytes, pieces }) => [
    ["component", name, sha256, bytes],
    ...pieces.map((piece) => ["piece", name, piece.file, piece.sha256, piece.bytes]),
  ]);
  await writeFile(join(folder, MANIFEST), lines.map((fields) => `${fields.join("\t")}\n`).join(""));
}

/** The components of a folder's manifest by name; none where there is no manifest. */
export async function readManifest(folder) {
  const text = await readFile(join(folder, MANIFEST), "utf8").catch(() => "");
  const components = new Map();
  for (const line of text.split("\n").filter(Boolean)) {
    const [kind, name, ...fields] = line.split("\t");
    if (kind === "component") components.set(name, { name, sha256: fields[0], bytes: Number(fields[1]), pieces: [] });
    else components.get(name).pieces.push({ file: fields[0], sha256: fields[1], bytes: Number(fields[2]) });
  }
  return components;
}

/** Pieces put together into loads of a limited size, the largest first: what one call carries. */
export function loadsOf(components, loadBytes) {
  const loads = [];
  const pieces = [...components].flatMap(({ pieces }) => pieces).sort((a, b) => b.bytes - a.bytes);
  for (const piece of pieces) {
    let load = loads.find(({ bytes }) => bytes + piece.bytes <= loadBytes);
    if (!load) {
      load = { bytes: 0, files: [] };
      loads.push(load);
    }
    load.bytes += piece.bytes;
    load.files.push(piece.file);
  }
  return loads;
}
