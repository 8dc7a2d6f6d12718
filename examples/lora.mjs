/**
 * One checkpoint, one LoRA, three weights. The three pictures share every call of the UNet, each with its own weight.
 *
 *   node examples/lora.mjs CHECKPOINT LORA [PROMPT]
 */
import { Pipeline } from "@kiln/diffusion";

const [, , checkpoint, lora, prompt = "a fox in the snow"] = process.argv;
if (checkpoint === undefined || lora === undefined) {
  console.error("Name a checkpoint and a LoRA: node examples/lora.mjs sdxl.safetensors ink.safetensors");
  process.exit(1);
}

const pipeline = await Pipeline.load(checkpoint);
await Promise.all(
  [0, 0.5, 1].map(async (weight) => {
    const [picture] = await pipeline.generate({ prompt, seed: 1, loras: [{ file: lora, weight }] });
    await picture?.save(`lora-${weight}.png`);
  }),
);
await pipeline.dispose();
