#!/usr/bin/env node
/**
 * Writes a ControlNet of SDXL base's real size and names with random weights, for measuring time and memory:
 *
 *   node bench/make-controlnet.mjs /tmp/controlnet-random.safetensors        float16, 2.5 GB
 *
 * Its tensors are those of the UNet's way down and middle, the picture's embedding, and a convolution of one pixel for each residual.
 */
import { readFile } from "node:fs/promises";
import { writeRandomWeights } from "./random-weights.mjs";

const [path] = process.argv.slice(2);
if (!path) {
  console.error("usage: node bench/make-controlnet.mjs FILE.safetensors");
  process.exit(2);
}
const manifest = JSON.parse(await readFile(new URL("./manifests/sdxl-base.folder.json", import.meta.url), "utf8"));
await writeRandomWeights(path, controlNetOf(manifest["unet/diffusion_pytorch_model"]));

/** @param unet shapes by name, in a diffusers folder's names. */
function controlNetOf(unet) {
  const shared = /^(conv_in|time_embedding|add_embedding|down_blocks|mid_block)\./;
  const shapes = Object.fromEntries(Object.entries(unet).filter(([name]) => shared.test(name)));
  const convolution = (name, out, channels, side) => {
    shapes[`${name}.weight`] = [out, channels, side, side];
    shapes[`${name}.bias`] = [out];
  };
  // As published (lllyasviel's and diffusers' ControlNets): two convolutions a level, the second to the next one's channels.
  const levels = [16, 32, 96, 256];
  const embedding = "controlnet_cond_embedding";
  convolution(`${embedding}.conv_in`, 16, 3, 3);
  for (const [i, channels] of levels.slice(0, -1).entries()) {
    convolution(`${embedding}.blocks.${2 * i}`, channels, channels, 3);
    convolution(`${embedding}.blocks.${2 * i + 1}`, levels[i + 1], channels, 3);
  }
  const [width] = unet["conv_in.weight"];
  convolution(`${embedding}.conv_out`, width, 256, 3);
  for (const [i, channels] of skips(unet).entries()) convolution(`controlnet_down_blocks.${i}`, channels, channels, 1);
  const [middle] = unet["mid_block.resnets.1.conv2.weight"];
  convolution("controlnet_mid_block", middle, middle, 1);
  return shapes;
}

/** Channels of the skip connections: behind the first convolution, each ResNet, and each downsampling. */
function skips(unet) {
  const channels = [unet["conv_in.weight"][0]];
  for (let level = 0; unet[`down_blocks.${level}.resnets.0.conv2.weight`]; level++) {
    const ends = [0, 1, 2].map((i) => `down_blocks.${level}.resnets.${i}.conv2.weight`);
    for (const end of [...ends, `down_blocks.${level}.downsamplers.0.conv.weight`]) if (unet[end]) channels.push(unet[end][0]);
  }
  return channels;
}
