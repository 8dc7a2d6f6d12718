import type { UNetConfig } from "../checkpoint/model-configs.ts";
import type { Value } from "../graph/graph.ts";
import { resnet, spatialTransformer } from "./blocks.ts";
import { conv2d, groupNorm } from "./layers.ts";
import type { Scope } from "./scope.ts";
import { type Conditioning, conditioning, middle, normOf, transformerOf, wayDown } from "./unet-encoder.ts";

/** Names of the residual inputs by which ControlNets reach the UNet, in the order of `wayDown`, then the middle's. */
export function residualNames(config: { readonly downBlockTypes: readonly string[]; readonly layersPerBlock: number }): string[] {
  const levels = config.downBlockTypes.length;
  const count = 1 + levels * config.layersPerBlock + (levels - 1);
  return [...Array.from({ length: count }, (_, i) => `residual.${i}`), "residual.mid"];
}

/**
 * The network that predicts the noise in a sample: UNet2DConditionModel of SD 1.5, SDXL (Podell et al., arXiv 2307.01952),
 * its refiner and inpainting networks.
 *
 * Inputs: `sample` [N, C, H, W] (latents at 1/8 of the picture's size, any H and W), those of `conditioning`,
 * and the residuals of ControlNets (`residualNames`), each broadcastable: a single zero where there is none.
 * Output: `prediction` [N, C, H, W].
 */
export function unet(s: Scope, config: UNetConfig): void {
  const { graph } = s;
  const sample = graph.input("sample", "float32", ["batch", config.inChannels, "height", "width"]);
  const given = conditioning(s, config);

  const skips = wayDown(s, conv2d(s.at("conv_in"), sample), given, config);
  const lowest = skips.at(-1) ?? sample;
  const h = middle(s.at("mid_block"), lowest, given, config);

  const residuals = residualNames(config).map((name) =>
    graph.input(
      name,
      "float32",
      ["n", "c", "h", "w"].map((axis) => `${name} ${axis}`),
    ),
  );
  const withResiduals = [...skips, h].map((value, i) => add(s, value, residuals[i]));
  const middled = withResiduals.pop() ?? h;

  const up = wayUp(s, middled, withResiduals, given, config);
  const out = groupNorm(s.at("conv_norm_out"), up, { ...normOf(config), silu: true });
  graph.output("prediction", conv2d(s.at("conv_out"), out));
}

function add(s: Scope, value: Value, residual: Value | undefined): Value {
  return residual ? s.graph.add(value, residual) : value;
}

/** Every level of the way up: each ResNet takes the image of the same level of the way down beside its own. */
function wayUp(s: Scope, x: Value, skips: Value[], given: Conditioning, config: UNetConfig): Value {
  const { graph } = s;
  const last = config.upBlockTypes.length - 1;
  let h = x;
  for (const [i, type] of config.upBlockTypes.entries()) {
    const block = s.at(`up_blocks.${i}`);
    const level = last - i;
    for (let j = 0; j <= config.layersPerBlock; j++) {
      h = resnet(block.at(`resnets.${j}`), graph.concat(h, skips.pop() ?? x), given.embedding, normOf(config));
      if (type === "CrossAttnUpBlock2D")
        h = spatialTransformer(block.at(`attentions.${j}`), h, given.text, transformerOf(config, level));
    }
    // To the size of the next skip connection, not twice the size: they differ where a level's size is odd.
    const next = skips.at(-1);
    if (i < last && next) h = conv2d(block.at("upsamplers.0.conv"), graph.upsampleLike(h, next));
  }
  return h;
}
