/** Three boxes in a row are close to a Gaussian; Pillow takes three. */
const PASSES = 3;
/** Weights have 24 bits behind the point, as in Pillow. */
const ONE = 2 ** 24;

/** Interleaved bytes, row by row. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array;
}

/**
 * Pillow's `GaussianBlur`: three extended box filters along the rows and three along the columns (Gwosdek, Grewenig, Bruhn and
 * Weickert 2011, doi:10.1007/978-3-642-24785-9_38, equations 7, 11 and 14), each rounded to bytes, the edges repeated. Its
 * cost does not grow with the radius.
 * @param sigma standard deviation in pixels; 0 copies
 */
export function boxBlur(pixels: Pixels, sigma: number): Uint8Array {
  const { width, height, channels } = pixels;
  const radius = boxRadius(sigma);
  if (radius === 0) return pixels.data.slice();
  let data = pixels.data;
  for (let pass = 0; pass < PASSES; pass++) {
    data = boxLines(data, radius, { lines: height, length: width, line: width * channels, step: channels, channels });
  }
  for (let pass = 0; pass < PASSES; pass++) {
    data = boxLines(data, radius, { lines: width, length: height, line: channels, step: width * channels, channels });
  }
  return data;
}

/** The radius of a box of which three have the standard deviation; its fraction is the weight of one more pixel on either side. */
function boxRadius(sigma: number): number {
  const variance = (sigma * sigma) / PASSES;
  const whole = Math.floor((Math.sqrt(12 * variance + 1) - 1) / 2);
  const fraction = ((2 * whole + 1) * (whole * (whole + 1) - 3 * variance)) / (6 * (variance - (whole + 1) ** 2));
  return whole + fraction;
}

interface Lines {
  readonly lines: number;
  readonly length: number;
  /** From one line to the next, and from one of its pixels to the next. */
  readonly line: number;
  readonly step: number;
  readonly channels: number;
}

function boxLines(data: Uint8Array, radius: number, { lines, length, line, step, channels }: Lines): Uint8Array {
  const out = new Uint8Array(data.length);
  const inner = Math.trunc(radius);
  const weight = Math.floor(ONE / (2 * radius + 1)) / ONE;
  const outerWeight = Math.floor(((1 - (2 * inner + 1) * weight) * ONE) / 2) / ONE;
  // One line of one channel, its ends repeated as far as the box reaches.
  const padded = new Uint8Array(length + 2 * inner + 2);
  for (let each = 0; each < lines; each++) {
    for (let channel = 0; channel < channels; channel++) {
      const start = each * line + channel;
      padded.fill(data[start] ?? 0, 0, inner + 1);
      for (let place = 0; place < length; place++) padded[inner + 1 + place] = data[start + place * step] ?? 0;
      padded.fill(data[start + (length - 1) * step] ?? 0, inner + 1 + length);
      let sum = 0;
      for (let i = 1; i <= 2 * inner + 1; i++) sum += padded[i] ?? 0;
      for (let place = 0; place < length; place++) {
        const before = padded[place] ?? 0;
        const after = padded[place + 2 * inner + 2] ?? 0;
        out[start + place * step] = sum * weight + (before + after) * outerWeight + 0.5;
        sum += after - (padded[place + 1] ?? 0);
      }
    }
  }
  return out;
}
