import type { MaskPicture, Picture } from "../pictures/picture.ts";

/** A picture that any language makes alike (noise and ramps with hard edges), for comparing checksums. */
export function testPicture(width: number, height: number): Picture {
  return { width, height, data: testBytes(width * height * 3) };
}

/** One channel of the same. */
export function testMask(width: number, height: number): MaskPicture {
  return { width, height, data: testBytes(width * height) };
}

function testBytes(count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) =>
    Math.floor(i / 37) % 2 === 0 ? Math.imul(i, 2654435761) >>> 24 : (i * 3) & 255,
  );
}
