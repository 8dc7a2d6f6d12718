import type { TinyVaeConfig } from "../checkpoint/model-configs.ts";
import type { Value } from "../graph/graph.ts";
import { conv2d } from "./layers.ts";
import type { Scope } from "./scope.ts";

/** TAESD, a small autoencoder for quick previews (AutoencoderTiny in diffusers). Its latents need no scaling factor. */

/** Input `image` [N, 3, H, W] in -1..1; output `latent` [N, 4, H/8, W/8]. */
export function tinyVaeEncoder(root: Scope, config: TinyVaeConfig): void {
  const { graph } = root;
  const layers = new Layers(root.at("encoder.layers"));
  const image = graph.input("image", "float32", ["batch", config.inChannels, "height", "width"]);
  // The network was trained on 0..1.
  let h = graph.add(graph.scale(image, 0.5), graph.constant(new Float32Array([0.5]), [1]));
  for (const [level, blocks] of config.numEncoderBlocks.entries()) {
    h = conv2d(layers.next(), h, { stride: level === 0 ? 1 : 2, padding: 1, bias: level === 0 ? "required" : "optional" });
    for (let i = 0; i < blocks; i++) h = block(layers.next(), h);
  }
  graph.output("latent", conv2d(layers.next(), h));
}

/** Input `latent` [N, 4, H, W]; output `image` [N, 3, 8 H, 8 W], about -1..1. */
export function tinyVaeDecoder(root: Scope, config: TinyVaeConfig): void {
  const { graph } = root;
  const layers = new Layers(root.at("decoder.layers"));
  const latent = graph.input("latent", "float32", ["batch", config.latentChannels, "height", "width"]);
  const clamped = graph.scale(graph.tanh(graph.scale(latent, 1 / 3)), 3);
  let h = graph.relu(conv2d(layers.next(), clamped));
  layers.skip(); // the ReLU
  for (const [level, blocks] of config.numDecoderBlocks.entries()) {
    for (let i = 0; i < blocks; i++) h = block(layers.next(), h);
    if (level < config.numDecoderBlocks.length - 1) {
      layers.skip(); // the upsampling
      h = graph.upsample2x(h);
    }
    h = conv2d(layers.next(), h, { bias: "optional" });
  }
  graph.output("image", graph.add(graph.scale(h, 2), graph.constant(new Float32Array([-1]), [1])));
}

/** Three convolutions with a residual. */
function block(s: Scope, x: Value): Value {
  const { graph } = s;
  let h = x;
  for (const i of [0, 2]) h = graph.relu(conv2d(s.at(`conv.${i}`), h));
  h = conv2d(s.at("conv.4"), h);
  return graph.relu(graph.add(h, s.has("skip.weight") ? conv2d(s.at("skip"), x, { bias: "optional" }) : x));
}

/** The published network is one numbered list of layers; those without weights count too. */
class Layers {
  readonly #list: Scope;
  #count = 0;

  constructor(list: Scope) {
    this.#list = list;
  }

  next(): Scope {
    return this.#list.at(`${this.#count++}`);
  }

  skip(): void {
    this.#count++;
  }
}
