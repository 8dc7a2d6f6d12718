import type { ControlNetConfig } from "../checkpoint/model-configs.ts";
import { conv2d } from "./layers.ts";
import type { Scope } from "./scope.ts";
import { residualNames } from "./unet.ts";
import { conditioning, middle, wayDown } from "./unet-encoder.ts";

/**
 * A copy of the UNet's way down that looks at a picture and adds to the UNet's skip connections
 * (Zhang, Rao and Agrawala, arXiv 2302.05543).
 *
 * Inputs: `sample` [N, C, H, W], those of `conditioning`, and `hint` [N, C0, H, W], which `controlHint` makes.
 * Outputs: one residual for each name of `residualNames`, not yet scaled.
 */
export function controlNet(s: Scope, config: ControlNetConfig): void {
  const { graph } = s;
  const sample = graph.input("sample", "float32", ["batch", config.inChannels, "height", "width"]);
  const given = conditioning(s, config);
  const hint = graph.input("hint", "float32", ["batch", config.blockOutChannels[0] ?? 0, "height", "width"]);

  const skips = wayDown(s, graph.add(conv2d(s.at("conv_in"), sample), hint), given, config);
  const mid = middle(s.at("mid_block"), skips.at(-1) ?? sample, given, config);

  const names = residualNames(config);
  for (const [i, skip] of skips.entries()) graph.output(names[i] ?? "", conv2d(s.at(`controlnet_down_blocks.${i}`), skip));
  graph.output("residual.mid", conv2d(s.at("controlnet_mid_block"), mid));
}

/**
 * The picture that a ControlNet looks at, brought to the latents' size by convolutions of stride 2. It does not depend on the sample or
 * the timestep: a graph of its own, so that it is computed once for a picture and not at every step.
 *
 * Input: `condition` [N, 3, 8 H, 8 W] in 0..1. Output: `hint` [N, C0, H, W].
 */
export function controlHint(s: Scope, { conditioningChannels, conditioningEmbeddingOutChannels }: ControlNetConfig): void {
  const { graph } = s;
  const embedding = s.at("controlnet_cond_embedding");
  const picture = graph.input("condition", "float32", ["batch", conditioningChannels, "picture height", "picture width"]);
  let h = graph.silu(conv2d(embedding.at("conv_in"), picture));
  for (let i = 0; i < conditioningEmbeddingOutChannels.length - 1; i++) {
    h = graph.silu(conv2d(embedding.at(`blocks.${2 * i}`), h));
    h = graph.silu(conv2d(embedding.at(`blocks.${2 * i + 1}`), h, { stride: 2 }));
  }
  graph.output("hint", conv2d(embedding.at("conv_out"), h));
}
