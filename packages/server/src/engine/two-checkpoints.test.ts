import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { completeRequest } from "../jobs/complete.ts";
import { generationRequestSchema } from "../jobs/request.ts";
import { Catalogue } from "../models/catalogue.ts";
import { describeModel } from "../models/describe.ts";
import type { ModelInfo } from "../models/model.ts";
import { REFERENCE_FOLDER } from "../testing/model-folders.ts";
import { openDiffusionEngine } from "./diffusion-engine.ts";
import { type EngineJob, type PictureEngine, plainJob } from "./picture-engine.ts";

const CHECKPOINTS = ["tiny-xl", "tiny-sd15"];

describe.skipIf(!REFERENCE_FOLDER)("two checkpoints in one engine", () => {
  const engines: PictureEngine[] = [];
  const models: ModelInfo[] = [];
  beforeAll(async () => {
    for (const id of CHECKPOINTS) {
      const found = await describeModel(join(REFERENCE_FOLDER ?? "", id), id, () => {});
      if (found) models.push(found);
    }
  });
  afterAll(async () => {
    for (const engine of engines) await engine.close();
  });

  async function engineWith(memoryBudget: number): Promise<PictureEngine> {
    const engine = await openDiffusionEngine({
      implementation: "diffusion",
      device: "cpu",
      backend: undefined,
      precision: "float32",
      slots: 2,
      memoryBudget,
      stepMilliseconds: 0,
    });
    engines.push(engine);
    return engine;
  }

  function job({ id, path }: ModelInfo, steps: number, catalogue: Catalogue): EngineJob {
    const asked = generationRequestSchema.parse({
      prompt: "a house",
      model: id,
      width: 64,
      height: 64,
      steps,
      preview: false,
    });
    const request = completeRequest(asked, catalogue, { loras: [], metadata: false });
    return plainJob({ id: `job-${id}`, request, checkpoint: { id, path } });
  }

  /** Draws with both at once; says which model each step was made with, and the most that the engine held. */
  async function drawBoth(engine: PictureEngine, length = 6): Promise<{ steps: string[]; most: number; pictures: number }> {
    const catalogue = new Catalogue({ scan: async () => models, aliases: () => ({}), defaultModel: undefined });
    await catalogue.refresh();
    const seen = { steps: [] as string[], most: 0, pictures: 0 };
    await Promise.all(
      models.map(async (model) => {
        for await (const event of engine.submit(job(model, length, catalogue), new AbortController().signal)) {
          const held = (await engine.memory()).models ?? {};
          seen.most = Math.max(
            seen.most,
            Object.values(held).reduce((sum, bytes) => sum + bytes, 0),
          );
          if (event.type === "picture") seen.pictures++;
          if (event.type === "progress" && event.phase === "denoising" && event.step > 0) seen.steps.push(model.id);
        }
      }),
    );
    return seen;
  }

  /** How often the work goes from one model to the other. */
  const changes = (steps: readonly string[]) => steps.filter((id, at) => at > 0 && id !== steps[at - 1]).length;

  test("run beside each other where the budget holds both", async () => {
    const engine = await engineWith(8 * 2 ** 30);
    // Loading takes longer than a few steps of so small a model: only then do both have work at the same time.
    await drawBoth(engine);
    const { steps, pictures } = await drawBoth(engine, 60);
    expect(pictures).toBe(2);
    expect(changes(steps)).toBeGreaterThan(1);
    expect([...engine.loaded()].sort()).toEqual([...CHECKPOINTS].sort());
  });

  test("run one after the other where it does not, and never hold more than it", async () => {
    const larger = Math.max(...models.map(({ bytes }) => bytes));
    const budget = Math.floor(larger * 1.2);
    expect(models.reduce((sum, { bytes }) => sum + bytes, 0)).toBeGreaterThan(budget);
    const engine = await engineWith(budget);
    const { steps, most, pictures } = await drawBoth(engine);
    expect(pictures).toBe(2);
    expect(changes(steps)).toBe(1);
    expect(most).toBeLessThanOrEqual(budget);
    expect(engine.loaded()).toHaveLength(1);
  });
});
