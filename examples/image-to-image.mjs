/**
 * A picture becomes another one of the same layout.
 *
 *   node examples/image-to-image.mjs [PICTURE] [PROMPT]
 *
 * Without a picture it draws one to start from.
 */
import { Pipeline } from "@kiln/diffusion";

const [, , file, prompt = "a blue house on green hills at sunset"] = process.argv;
const pipeline = await Pipeline.load("models/kiln-demo");

let image = file;
if (image === undefined) {
  const [first] = await pipeline.generate({ prompt: "a red house on green hills at sunset", seed: 1 });
  await first?.save("before.png");
  image = "before.png";
}

// 0 leaves the picture as it is, 1 draws a new one.
const [picture] = await pipeline.generate({ prompt, image, strength: 0.6, seed: 2 });
await picture?.save("after.png");
await pipeline.dispose();
