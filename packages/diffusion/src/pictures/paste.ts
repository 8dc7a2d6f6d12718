import { channelsOf, type MaskPicture, type Picture } from "./picture.ts";

/** Part of a picture in pixels. */
export interface Region {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Part of a picture; black where it reaches beyond the picture. */
export function crop(picture: Picture | MaskPicture, { left, top, width, height }: Region) {
  const cut = { width, height, data: new Uint8Array(width * height * channelsOf(picture)) };
  paste(picture, cut, -left, -top);
  return cut;
}

/** Lays a picture into another of as many channels, in place, with its corner at (left, top); what hangs over is cut. */
export function paste(picture: Picture | MaskPicture, onto: Picture | MaskPicture, left: number, top: number): void {
  const channels = channelsOf(picture);
  const [from, to] = [Math.max(0, -left), Math.min(picture.width, onto.width - left)];
  for (let y = Math.max(0, -top); y < Math.min(picture.height, onto.height - top); y++) {
    const row = picture.data.subarray((y * picture.width + from) * channels, (y * picture.width + to) * channels);
    onto.data.set(row, ((y + top) * onto.width + left + from) * channels);
  }
}
