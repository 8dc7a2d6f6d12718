/** Where the training noise of Stable Diffusion begins and ends: square roots of beta run linearly between those of these two. */
const BETA_START = 0.00085;
const BETA_END = 0.012;

/** How many noise levels the networks are trained on. */
export const TRAINING_STEPS = 1000;

/** What AUTOMATIC1111 puts in place of the last cumulative alpha, which zero terminal SNR would make 0 and sigma infinite. */
const LAST_ALPHA_BAR = 4.8973451890853435e-8;

/**
 * The cumulative products of alpha at the training timesteps 0..999 ("scaled linear" betas; one table for SD 1.x and SDXL).
 * With `zeroTerminalSnr` the square roots are shifted and stretched so that the last is almost 0
 * (arXiv 2305.08891, Algorithm 1), as AUTOMATIC1111 does.
 */
export function alphaBars(zeroTerminalSnr: boolean): Float64Array {
  const bars = new Float64Array(TRAINING_STEPS);
  let product = 1;
  for (let step = 0; step < TRAINING_STEPS; step++) {
    const root = Math.sqrt(BETA_START) + ((Math.sqrt(BETA_END) - Math.sqrt(BETA_START)) * step) / (TRAINING_STEPS - 1);
    product *= 1 - root * root;
    bars[step] = product;
  }
  return zeroTerminalSnr ? rescaled(bars) : bars;
}

function rescaled(bars: Float64Array): Float64Array {
  const roots = bars.map(Math.sqrt);
  const first = roots.at(0) ?? 1;
  const last = roots.at(-1) ?? 0;
  const stretched = roots.map((root) => (((root - last) * first) / (first - last)) ** 2);
  stretched[TRAINING_STEPS - 1] = LAST_ALPHA_BAR;
  return stretched;
}
