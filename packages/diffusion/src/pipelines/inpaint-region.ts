import type { Region } from "../pictures/paste.ts";
import type { MaskPicture } from "../pictures/picture.ts";

interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * The part of a picture that is drawn where only its mask is: the box of all that is not black, `padding` pixels larger on every
 * side, and then grown to the drawn size's shape as far as the picture reaches. As AUTOMATIC1111's `get_crop_region` and
 * `expand_crop_region`. Undefined for a mask that is black.
 */
export function maskedRegion(mask: MaskPicture, padding: number, drawn: Size): Region | undefined {
  const box = boxOf(mask);
  if (!box) return undefined;
  const [left, right] = [Math.max(0, box.left - padding), Math.min(mask.width, box.right + padding)];
  const [top, bottom] = [Math.max(0, box.top - padding), Math.min(mask.height, box.bottom + padding)];
  const [width, height] = [right - left, bottom - top];
  const shape = drawn.width / drawn.height;
  if (width / height > shape) {
    const [start, length] = grow(top, height, Math.trunc(width / shape - height), mask.height);
    return { left, width, top: start, height: length };
  }
  const [start, length] = grow(left, width, Math.trunc(height * shape - width), mask.width);
  return { left: start, width: length, top, height };
}

/** A stretch that is longer by `more`, equally at both ends, pushed back inside 0 to `limit` and cut to it. */
function grow(start: number, length: number, more: number, limit: number): [start: number, length: number] {
  const wanted = length + more;
  const overEnd = Math.max(0, start - Math.floor(more / 2) + wanted - limit);
  const from = Math.max(0, start - Math.floor(more / 2) - overEnd);
  return [from, Math.min(wanted, limit - from)];
}

function boxOf({ width, data }: MaskPicture): { left: number; right: number; top: number; bottom: number } | undefined {
  let [left, right, top, bottom] = [width, 0, -1, 0];
  for (const [i, value] of data.entries()) {
    if (value === 0) continue;
    const [x, y] = [i % width, Math.floor(i / width)];
    if (top < 0) top = y;
    bottom = y + 1;
    left = Math.min(left, x);
    right = Math.max(right, x + 1);
  }
  return top < 0 ? undefined : { left, right, top, bottom };
}
