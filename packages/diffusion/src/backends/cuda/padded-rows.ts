/**
 * Up to here rows come in twos, as a picture with guidance does: among few rows each that is thrown away costs much.
 */
const IN_TWOS = 8;
/** Beyond, in fours: two pictures with guidance. */
const STRIDE = 4;

/**
 * The number of rows that so many are padded to: 1, 2, 4, 6, 8, 12, 16, 20, ... Each number has a session of its own, with its
 * memory and its captured graph, and a batch that pictures join and leave would go through all of them.
 */
export function paddedRows(rows: number): number {
  if (rows <= 1) return rows;
  const stride = rows <= IN_TWOS ? 2 : STRIDE;
  return Math.ceil(rows / stride) * stride;
}
