/** `count` numbers from `start` to `end`, both included, as torch and NumPy space them; one number is `start` alone. */
export function linspace(start: number, end: number, count: number): number[] {
  if (count === 1) return [start];
  return Array.from({ length: count }, (_, index) => start + ((end - start) * index) / (count - 1));
}
