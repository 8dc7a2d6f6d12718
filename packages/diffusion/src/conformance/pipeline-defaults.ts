/** What diffusers' pipelines take where an argument is not given, and Kiln's own defaults are others. */
export interface PipelineDefaults {
  readonly steps: number;
  readonly guidanceScale: number;
  /** Undefined for pipelines that start from noise. */
  readonly strength: number | undefined;
  readonly controlScale: number;
}

const STEPS = 50;

/** By the signatures of diffusers' `__call__`: name of the pipeline in a case; guidance scale, strength and ControlNet scale. */
const SDXL: Readonly<Record<string, readonly [number, number | undefined, number]>> = {
  text2img: [5, undefined, 1],
  img2img: [5, 0.3, 1],
  inpaint: [7.5, 0.9999, 1],
  controlnet: [5, undefined, 1],
  controlnet_img2img: [5, 0.8, 0.8],
  controlnet_inpaint: [5, 0.9999, 1],
};
const SD15: typeof SDXL = {
  text2img: [7.5, undefined, 1],
  img2img: [7.5, 0.8, 1],
  inpaint: [7.5, 1, 1],
  controlnet: [7.5, undefined, 1],
  controlnet_img2img: [7.5, 0.8, 0.8],
  controlnet_inpaint: [7.5, 1, 0.5],
};

/** @throws Error for a pipeline that the runner does not know. */
export function pipelineDefaults(pipeline: string, sd15: boolean): PipelineDefaults {
  const found = (sd15 ? SD15 : SDXL)[pipeline];
  if (!found) throw new Error(`the runner does not know the pipeline ${pipeline}`);
  const [guidanceScale, strength, controlScale] = found;
  return { steps: STEPS, guidanceScale, strength, controlScale };
}
