import { PIXELS_PER_LATENT } from "../../latent-size.ts";
import { type CaseKind, inEveryLayout } from "../attempt.ts";
import type { ProducedTensors } from "../comparison.ts";
import { Fields } from "../fields.ts";
import { floatTensor, fromEnd } from "../tensors.ts";

/** `latent` without scaling to `decoded`, `image` to the distribution of its latents. */
export const vae: CaseKind = (file, workbench) =>
  inEveryLayout(new Fields(file.meta).text("checkpoint"), workbench, async ({ model: { autoencoder } }) => {
    const [latent, image] = [floatTensor(file, "latent"), floatTensor(file, "image")];
    const [height, width] = [fromEnd(latent, 2), fromEnd(latent, 1)];
    const scaled = autoencoder.scale(latent.data);
    const decoded = await autoencoder.decode(scaled, height, width);
    const { mean, logVariance } = await autoencoder.encode(image.data, fromEnd(image, 2), fromEnd(image, 1));
    const latents = [
      1,
      autoencoder.config.latentChannels,
      fromEnd(image, 2) / PIXELS_PER_LATENT,
      fromEnd(image, 1) / PIXELS_PER_LATENT,
    ];
    return {
      decoded: {
        shape: [1, autoencoder.config.outChannels, height * PIXELS_PER_LATENT, width * PIXELS_PER_LATENT],
        data: decoded,
      },
      mean: { shape: latents, data: mean },
      logvar: { shape: latents, data: logVariance },
    };
  });

/** The tiny autoencoder, both ways. */
export const tinyVae: CaseKind = (file, workbench) => {
  const make = async (): Promise<ProducedTensors> => {
    const network = await workbench.tinyAutoencoder(new Fields(file.meta).text("checkpoint"));
    const [latent, image] = [floatTensor(file, "latent"), floatTensor(file, "image")];
    const [height, width] = [fromEnd(latent, 2), fromEnd(latent, 1)];
    const [imageHeight, imageWidth] = [fromEnd(image, 2), fromEnd(image, 1)];
    const { latentChannels, outChannels } = network.config;
    return {
      decoded: {
        shape: [1, outChannels, height * PIXELS_PER_LATENT, width * PIXELS_PER_LATENT],
        data: await network.decode(latent.data, height, width),
      },
      encoded: {
        shape: [1, latentChannels, imageHeight / PIXELS_PER_LATENT, imageWidth / PIXELS_PER_LATENT],
        data: await network.encode(image.data, imageHeight, imageWidth),
      },
    };
  };
  return [{ label: "", make }];
};
