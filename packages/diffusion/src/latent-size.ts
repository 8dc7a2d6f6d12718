/** Pixels along one side of what a latent stands for: Stable Diffusion's autoencoders halve a picture three times. */
export const PIXELS_PER_LATENT = 8;
