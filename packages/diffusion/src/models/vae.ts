import type { VaeConfig } from "../checkpoint/model-configs.ts";
import type { Value } from "../graph/graph.ts";
import { attention, type NormOptions, resnet } from "./blocks.ts";
import { conv2d, groupNorm } from "./layers.ts";
import type { Scope } from "./scope.ts";

/** The autoencoder between pictures and latents: AutoencoderKL (Rombach et al., arXiv 2112.10752, section 3.1). */

const EPSILON = 1e-6;

/** Input `image` [N, 3, H, W] in -1..1; output `moments` [N, 2 C, H/8, W/8]: mean, then log variance, unscaled. */
export function vaeEncoder(root: Scope, config: VaeConfig): void {
  const { graph } = root;
  const s = root.at("encoder");
  const norm = normOf(config);
  let h = conv2d(s.at("conv_in"), graph.input("image", "float32", ["batch", config.inChannels, "height", "width"]));
  const last = config.blockOutChannels.length - 1;
  for (let level = 0; level <= last; level++) {
    const block = s.at(`down_blocks.${level}`);
    for (let i = 0; i < config.layersPerBlock; i++) h = resnet(block.at(`resnets.${i}`), h, undefined, norm);
    // Padded at the bottom and the right alone, as the network was trained.
    if (level < last) h = conv2d(block.at("downsamplers.0.conv"), h, { stride: 2, padding: [0, 0, 1, 1] });
  }
  h = middle(s.at("mid_block"), h, config);
  const moments = conv2d(s.at("conv_out"), groupNorm(s.at("conv_norm_out"), h, { ...norm, silu: true }));
  graph.output("moments", config.useQuantConv ? conv2d(root.at("quant_conv"), moments) : moments);
}

/** Input `latent` [N, C, H, W], unscaled; output `image` [N, 3, 8 H, 8 W], about -1..1. */
export function vaeDecoder(root: Scope, config: VaeConfig): void {
  const { graph } = root;
  const s = root.at("decoder");
  const norm = normOf(config);
  const latent = graph.input("latent", "float32", ["batch", config.latentChannels, "height", "width"]);
  let h = conv2d(s.at("conv_in"), config.usePostQuantConv ? conv2d(root.at("post_quant_conv"), latent) : latent);
  h = middle(s.at("mid_block"), h, config);
  const last = config.blockOutChannels.length - 1;
  for (let level = 0; level <= last; level++) {
    const block = s.at(`up_blocks.${level}`);
    for (let i = 0; i <= config.layersPerBlock; i++) h = resnet(block.at(`resnets.${i}`), h, undefined, norm);
    if (level < last) h = conv2d(block.at("upsamplers.0.conv"), graph.upsample2x(h));
  }
  graph.output("image", conv2d(s.at("conv_out"), groupNorm(s.at("conv_norm_out"), h, { ...norm, silu: true })));
}

/** ResNet, one-headed attention over all positions, ResNet. */
function middle(s: Scope, x: Value, config: VaeConfig): Value {
  let h = resnet(s.at("resnets.0"), x, undefined, normOf(config));
  if (config.midBlockAddAttention) h = spatialAttention(s.at("attentions.0"), h, config);
  return resnet(s.at("resnets.1"), h, undefined, normOf(config));
}

function spatialAttention(s: Scope, x: Value, config: VaeConfig): Value {
  const { graph } = s;
  const tokens = graph.imageToTokens(groupNorm(s.at("group_norm"), x, normOf(config)));
  return graph.add(x, graph.tokensToImage(attention(s, tokens, tokens, { heads: 1, bias: "required" }), x));
}

function normOf(config: VaeConfig): NormOptions {
  return { groups: config.normNumGroups, epsilon: EPSILON };
}
