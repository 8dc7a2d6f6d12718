/** Deeper than any request of any contract; what recurses over a body would end the stack some thousands deep. */
export const MAX_JSON_DEPTH = 100;
/**
 * Values of one body, and those inside them. The largest request there is, a batch of a hundred with every field, has some
 * ten thousand; a body of small values alone would be twenty million, which take minutes and gigabytes to look at.
 */
export const MAX_JSON_VALUES = 100_000;

const QUOTE = 0x22;
const COMMA = 0x2c;
const [OPEN_LIST, CLOSE_LIST] = [0x5b, 0x5d];
const [OPEN_OBJECT, CLOSE_OBJECT] = [0x7b, 0x7d];

/**
 * What of a JSON text is beyond the limits, as the end of a sentence. Undefined where nothing is, and for text that is no
 * JSON. Looks at the text alone, so that nothing is built from it before; strings, which hold pictures, are skipped.
 */
export function beyondLimits(text: string): string | undefined {
  let depth = 0;
  let values = 1;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
      continue;
    }
    if (code === CLOSE_LIST || code === CLOSE_OBJECT) depth--;
    else if (code === COMMA) values++;
    else if (code === OPEN_LIST || code === OPEN_OBJECT) {
      depth++;
      values++;
    }
    if (depth > MAX_JSON_DEPTH) return `is nested deeper than ${MAX_JSON_DEPTH} levels`;
    if (values > MAX_JSON_VALUES) return `holds more than ${MAX_JSON_VALUES} values`;
  }
  return undefined;
}

/** The place of the quote that ends a string, or the text's end. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === "\\") backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  return text.length;
}
