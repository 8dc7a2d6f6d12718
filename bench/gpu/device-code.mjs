/**
 * Leaves in a CUDA library the device code of one architecture alone, so that what compresses badly need not travel.
 *
 * nvcc puts device code into the section .nv_fatbin as containers: a header of 16 bytes (magic 0xba55ed50, its own size as uint16 at
 * 6, the size of what follows as uint64 at 8), then entries (header size as uint32 at 4, payload size as uint64 at 8, architecture
 * as uint32 at 28). Programs find containers by pointers, so each stays where it is: its kept entries move to its front, its size is
 * lowered and the rest becomes zeros. What is left is what a build for that architecture alone would have made; `cuobjdump
 * --list-elf` reads it. (Layout: read off libraries of CUDA 13 with cuobjdump beside it; NVIDIA documents none.)
 */

const CONTAINER = 0xba55ed50;
const SECTION = ".nv_fatbin";

/**
 * Drops all device code but that of one architecture, in place.
 * @param library the bytes of an ELF file of 64 bits, little-endian.
 * @param architecture compute capability times ten: 90 for the H100 and H200.
 * @returns bytes of device code before and after. A container without that architecture stays whole; no section, nothing is done.
 */
export function keepDeviceCode(library, architecture) {
  const section = findSection(library, SECTION);
  const counted = { before: 0, after: 0 };
  if (!section) return counted;
  const end = section.offset + section.bytes;
  let at = section.offset;
  while (at < end) {
    if (library.readUInt32LE(at) !== CONTAINER) {
      at += 4; // alignment between containers
      continue;
    }
    const first = at + library.readUInt16LE(at + 6);
    const stop = first + Number(library.readBigUInt64LE(at + 8));
    if (stop > end) throw new Error(`the container of device code at ${at} ends behind its section: an unknown layout`);
    const kept = keepEntries(library, { first, stop, architecture });
    if (kept < stop) {
      library.fill(0, kept, stop);
      library.writeBigUInt64LE(BigInt(kept - first), at + 8);
    }
    counted.before += stop - first;
    counted.after += kept - first;
    at = stop;
  }
  return counted;
}

/** Moves the entries of an architecture to the front; the end of the last one, or `stop` where there is none. */
function keepEntries(library, { first, stop, architecture }) {
  let write = first;
  for (let at = first; at < stop; ) {
    const bytes = library.readUInt32LE(at + 4) + Number(library.readBigUInt64LE(at + 8));
    if (bytes <= 0 || at + bytes > stop) throw new Error(`the entry of device code at ${at} is of an unknown layout`);
    if (library.readUInt32LE(at + 28) === architecture) {
      library.copyWithin(write, at, at + bytes);
      write += bytes;
    }
    at += bytes;
  }
  return write === first ? stop : write;
}

function findSection(library, wanted) {
  const isElf = library.length > 64 && library.readUInt32BE(0) === 0x7f454c46 && library[4] === 2 && library[5] === 1;
  if (!isElf) throw new Error("this is no ELF file of 64 bits");
  const table = Number(library.readBigUInt64LE(0x28));
  const [size, count, names] = [0x3a, 0x3c, 0x3e].map((at) => library.readUInt16LE(at));
  const header = (index) => {
    const at = table + index * size;
    const [offset, bytes] = [0x18, 0x20].map((field) => Number(library.readBigUInt64LE(at + field)));
    return { name: library.readUInt32LE(at), offset, bytes };
  };
  const texts = header(names).offset;
  const nameOf = ({ name }) => library.toString("latin1", texts + name, library.indexOf(0, texts + name));
  return Array.from({ length: count }, (_, index) => header(index)).find((each) => nameOf(each) === wanted);
}
