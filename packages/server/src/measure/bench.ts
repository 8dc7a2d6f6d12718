import type { Settings } from "../settings/schema.ts";
import { type Drawn, findModels, LocalEngine } from "./local-engine.ts";

export interface BenchOptions {
  model?: string | undefined;
  width?: number | undefined;
  height?: number | undefined;
  steps?: number | undefined;
  /** Pictures that are measured; one more warms up. */
  count: number;
  /** Pictures that are drawn side by side. */
  together: number;
  /** What the machine costs an hour. */
  hourlyRate?: number | undefined;
  onPicture?(done: number): void;
}

export interface BenchResult {
  model: string;
  backend: string;
  device: string;
  precision: string;
  width: number;
  height: number;
  steps: number;
  count: number;
  together: number;
  load_seconds: number;
  /** The first picture, which pays for what is compiled at the first use. */
  warm_up_seconds: number;
  seconds: number;
  seconds_per_picture: number;
  /** The median of the time between two steps of a picture, with all that is drawn beside it. */
  seconds_per_step: number | undefined;
  pictures_per_hour: number;
  price_per_picture: number | undefined;
}

const PROMPT = "a red house on green hills at sunset";

/** Measures how many pictures an hour this machine draws with a model, engine process and encoding included. */
export async function runBench(settings: Settings, options: BenchOptions): Promise<BenchResult> {
  const catalogue = await findModels(settings, () => {});
  const model = options.model === undefined ? catalogue.default() : catalogue.require(options.model, "checkpoint", "--model");
  const engine = await LocalEngine.start({ ...settings, KILN_SLOTS: Math.max(settings.KILN_SLOTS, options.together) }, catalogue);
  try {
    const draw = async (seed: number): Promise<Drawn> =>
      await engine.draw({
        model: model.id,
        prompt: PROMPT,
        seed,
        ...(options.width === undefined ? {} : { width: options.width }),
        ...(options.height === undefined ? {} : { height: options.height }),
        ...(options.steps === undefined ? {} : { steps: options.steps }),
      });
    const beforeLoad = performance.now();
    await engine.load(model);
    const beforeWarmUp = performance.now();
    const { width, height, steps } = await draw(0);
    const started = performance.now();
    const drawn = await drawAll(draw, options);
    const seconds = (performance.now() - started) / 1000;
    const perHour = (options.count / seconds) * 3600;
    return {
      model: model.id,
      ...engine.about,
      width,
      height,
      steps,
      count: options.count,
      together: options.together,
      load_seconds: (beforeWarmUp - beforeLoad) / 1000,
      warm_up_seconds: (started - beforeWarmUp) / 1000,
      seconds,
      seconds_per_picture: seconds / options.count,
      seconds_per_step: median(drawn.flatMap(({ stepSeconds }) => stepSeconds)),
      pictures_per_hour: perHour,
      price_per_picture: options.hourlyRate === undefined ? undefined : options.hourlyRate / perHour,
    };
  } finally {
    await engine.stop();
  }
}

/** So many at once as were asked for: whoever is done takes the next. */
async function drawAll(draw: (seed: number) => Promise<Drawn>, { count, together, onPicture }: BenchOptions): Promise<Drawn[]> {
  const drawn: Drawn[] = [];
  let next = 1;
  const lane = async () => {
    while (next <= count) {
      drawn.push(await draw(next++));
      onPicture?.(drawn.length);
    }
  };
  await Promise.all(Array.from({ length: Math.min(together, count) }, lane));
  return drawn;
}

function median(values: number[]): number | undefined {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
}
