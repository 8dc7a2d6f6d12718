/**
 * Splits the way from one noise level to a lower one into a deterministic part down to `down` and fresh noise `up`,
 * such that `down^2 + up^2 = to^2`; `eta` 1 is ancestral sampling (arXiv 2006.11239), 0 adds nothing.
 */
export function ancestralStep(from: number, to: number, eta: number): { down: number; up: number } {
  const up = Math.min(to, eta * Math.sqrt((to * to * (from * from - to * to)) / (from * from)));
  return { down: Math.sqrt(to * to - up * up), up };
}
