/** The longest period of the sinusoids. */
const MAX_PERIOD = 10_000;

export interface SinusoidOptions {
  /** Cosines first (every Stable Diffusion) or sines first. */
  readonly flipSinToCos?: boolean;
  readonly freqShift?: number;
}

/**
 * Sinusoidal embeddings of numbers (Ho et al., arXiv 2006.11239, after Vaswani et al.): float32 arithmetic, as in diffusers'
 * `get_timestep_embedding`. Computed here and not in the graph, because reduced precision ruins them.
 *
 * @param values one number for each row: timesteps, or sizes in pixels.
 * @param width  numbers in a row.
 * @returns [values.length, width], row-major.
 */
export function sinusoids(
  values: ArrayLike<number>,
  width: number,
  { flipSinToCos = true, freqShift = 0 }: SinusoidOptions = {},
): Float32Array {
  const half = Math.floor(width / 2);
  const result = new Float32Array(values.length * width);
  const [sinAt, cosAt] = flipSinToCos ? [half, 0] : [0, half];
  for (let i = 0; i < half; i++) {
    const exponent = Math.fround(Math.fround(Math.fround(-Math.log(MAX_PERIOD)) * i) / (half - freqShift));
    const frequency = Math.fround(Math.exp(exponent));
    for (let row = 0; row < values.length; row++) {
      const angle = Math.fround(Math.fround(values[row] ?? 0) * frequency);
      result[row * width + sinAt + i] = Math.sin(angle);
      result[row * width + cosAt + i] = Math.cos(angle);
    }
  }
  return result;
}
