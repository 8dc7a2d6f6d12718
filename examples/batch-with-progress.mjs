/**
 * Four pictures side by side, with what is going on, and Ctrl-C to stop.
 *
 *   node examples/batch-with-progress.mjs [PROMPT]
 */
import { KilnError, Pipeline } from "@kiln/diffusion";

const [, , prompt = "a tent in the desert at night with a full moon"] = process.argv;
const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

const pipeline = await Pipeline.load("models/kiln-demo");
try {
  const pictures = await pipeline.generate(
    { prompt, count: 4, seed: 10, steps: 12, scheduler: "DPM++ 2M Karras" },
    {
      signal: stop.signal,
      onProgress: ({ picture, phase, step, totalSteps }) =>
        console.log(`picture ${picture + 1}: ${phase}, step ${step} of ${totalSteps}`),
    },
  );
  for (const picture of pictures) {
    await picture.save(`tent-${picture.seed}.png`);
    console.log(picture.metadata.parameters);
  }
} catch (error) {
  if (!(error instanceof KilnError) || error.code !== "cancelled") throw error;
  console.error("Stopped.");
} finally {
  await pipeline.dispose();
}
