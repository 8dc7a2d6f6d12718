import { Command } from "commander";
import { number, type Size, size, whole } from "../arguments.ts";

interface BenchCommandOptions {
  readonly model?: string;
  readonly size?: Size;
  readonly steps?: number;
  readonly count: number;
  readonly together: number;
  readonly hourlyRate?: number;
  readonly json?: boolean;
}

const COUNT = 8;
const TOGETHER = 4;

export function benchCommand(): Command {
  return new Command("bench")
    .description("Measure how many pictures an hour this machine draws, and what one costs at an hourly rate.")
    .option("-m, --model <name>", "a name of kiln models list; default: what the service draws with")
    .option("--size <WxH>", "in pixels; default: the model's", size)
    .option("-s, --steps <n>", "default: the model's", whole("--steps"))
    .option("-c, --count <n>", "pictures that are measured; one more warms up", whole("--count"), COUNT)
    .option("--together <n>", "pictures that are drawn side by side", whole("--together"), TOGETHER)
    .option("--hourly-rate <price>", "what the machine costs an hour, in any currency", number("--hourly-rate"))
    .option("--json", "as one JSON object")
    .addHelpText(
      "after",
      `
Examples:
  $ kiln bench
  $ kiln bench --model sdxl --size 1024x1024 --steps 30 --hourly-rate 0.44
  $ kiln bench --together 1 --json`,
    )
    .action(bench);
}

async function bench(options: BenchCommandOptions): Promise<void> {
  const { loadSettings, runBench } = await import("@kiln/server");
  const result = await runBench(loadSettings(), {
    model: options.model,
    width: options.size?.width,
    height: options.size?.height,
    steps: options.steps,
    count: Math.max(1, options.count),
    together: Math.max(1, options.together),
    hourlyRate: options.hourlyRate,
    onPicture: (done) => {
      if (!options.json) process.stderr.write(`${done} of ${options.count}\n`);
    },
  });
  if (options.json) {
    process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
    return;
  }
  const { model, width, height, steps, together, backend, device, precision, price_per_picture, seconds_per_step } = result;
  process.stdout.write(`${model}, ${width} x ${height}, ${steps} steps, ${together} side by side; ${backend} on ${device} in ${precision}
  pictures an hour    ${result.pictures_per_hour.toFixed(1)}
  seconds a picture   ${result.seconds_per_picture.toFixed(3)}
  seconds a step      ${seconds_per_step === undefined ? "(one step)" : seconds_per_step.toFixed(3)}
  loading, warming up ${result.load_seconds.toFixed(1)} s, ${result.warm_up_seconds.toFixed(1)} s
`);
  if (price_per_picture !== undefined)
    process.stdout.write(`  price of a picture  ${price_per_picture.toPrecision(3)} at ${options.hourlyRate} an hour\n`);
}
