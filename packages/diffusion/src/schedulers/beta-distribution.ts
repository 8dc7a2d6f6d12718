/** Lanczos' approximation of log gamma (g = 7, nine coefficients), good to 15 digits for positive arguments. */
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
  -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** Bisection halves the interval until float64 has no number between its ends. */
const MAX_HALVINGS = 1100;
/** The continued fraction gains a digit or more a term; this is far beyond what it needs. */
const MAX_TERMS = 1000;

/** The value below which a beta-distributed number lies with the given probability, in 0..1 (scipy's `beta.ppf`). */
export function betaQuantile(probability: number, alpha: number, beta: number): number {
  if (probability <= 0) return 0;
  if (probability >= 1) return 1;
  let low = 0;
  let high = 1;
  for (let count = 0; count < MAX_HALVINGS; count++) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    if (regularisedBeta(middle, alpha, beta) < probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** The regularised incomplete beta function I_x(a, b) by its continued fraction (NIST DLMF 8.17.22). */
function regularisedBeta(x: number, a: number, b: number): number {
  if (x > (a + 1) / (a + b + 2)) return 1 - regularisedBeta(1 - x, b, a);
  const front = Math.exp(a * Math.log(x) + b * Math.log1p(-x) - logGamma(a) - logGamma(b) + logGamma(a + b)) / a;
  return front * continuedFraction(x, a, b);
}

/** Evaluated by the modified Lentz method. */
function continuedFraction(x: number, a: number, b: number): number {
  const guard = (value: number): number => (Math.abs(value) < Number.MIN_VALUE / Number.EPSILON ? 1e-300 : value);
  let numerator = 1;
  let denominator = 1 / guard(1 - ((a + b) * x) / (a + 1));
  let result = denominator;
  for (let m = 1; m < MAX_TERMS; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    denominator = 1 / guard(1 + even * denominator);
    numerator = guard(1 + even / numerator);
    result *= denominator * numerator;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    denominator = 1 / guard(1 + odd * denominator);
    numerator = guard(1 + odd / numerator);
    const change = denominator * numerator;
    result *= change;
    if (Math.abs(change - 1) < Number.EPSILON) break;
  }
  return result;
}

function logGamma(value: number): number {
  if (value < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * value)) - logGamma(1 - value);
  const shifted = value - 1;
  const base = shifted + 7.5;
  const series = LANCZOS.reduce(
    (sum, coefficient, index) => (index === 0 ? coefficient : sum + coefficient / (shifted + index)),
    0,
  );
  return 0.5 * Math.log(2 * Math.PI) + (shifted + 0.5) * Math.log(base) - base + Math.log(series);
}
