/**
 * The value below which `part` (0 to 1) of the values lie: the one at that rank, rounded down, and never one that was not measured.
 * NaN of no values.
 */
export function percentile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}
