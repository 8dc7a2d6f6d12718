import { Pipeline } from "@kiln/diffusion";

const pipeline = await Pipeline.load("models/kiln-demo"); // or "sdxl.safetensors"
const [picture] = await pipeline.generate({ prompt: "a red house on green hills at sunset", seed: 1 });
await picture?.save("house.png");
await pipeline.dispose();
