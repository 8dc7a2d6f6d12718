/**
 * A ControlNet makes the picture follow another one: a pose, a depth map, edges.
 *
 *   node examples/controlnet.mjs CHECKPOINT CONTROLNET PICTURE [PROMPT]
 */
import { Pipeline } from "@kiln/diffusion";

const [, , checkpoint, model, image, prompt = "a dancer on a stage"] = process.argv;
if (checkpoint === undefined || model === undefined || image === undefined) {
  console.error(
    "Name a checkpoint, a ControlNet and a picture: node examples/controlnet.mjs sdxl.safetensors openpose/ pose.png",
  );
  process.exit(1);
}

const pipeline = await Pipeline.load(checkpoint);
const [picture] = await pipeline.generate({
  prompt,
  seed: 1,
  // It acts at 0.8 of its strength, and leaves the last fifth of the steps alone.
  controls: [{ model, image, scale: 0.8, end: 0.8 }],
});
await picture?.save("controlled.png");
await pipeline.dispose();
