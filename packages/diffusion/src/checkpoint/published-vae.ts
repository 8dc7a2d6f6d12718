import type { Family } from "./family.ts";
import type { VaeConfig } from "./model-configs.ts";

/** The VAE that a family was published with, for checkpoints that hold none. */
export function publishedVae(family: Family): VaeConfig {
  return {
    inChannels: 3,
    outChannels: 3,
    latentChannels: 4,
    blockOutChannels: [128, 256, 512, 512],
    layersPerBlock: 2,
    normNumGroups: 32,
    midBlockAddAttention: true,
    useQuantConv: true,
    usePostQuantConv: true,
    scalingFactor: family === "sd15" ? 0.18215 : 0.13025,
    shiftFactor: null,
    latentsMean: null,
    latentsStd: null,
    forceUpcast: family !== "sd15",
  };
}
