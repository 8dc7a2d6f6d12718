import { TEST_MODEL } from "../engine/test-engine.ts";
import type { Settings } from "../settings/schema.ts";
import type { ModelInfo } from "./model.ts";

/** Finds the installed models for the engine that the settings choose. */
export async function scanModels(settings: Settings): Promise<ModelInfo[]> {
  if (settings.KILN_ENGINE === "test") return [testModel()];
  return [];
}

function testModel(): ModelInfo {
  return {
    id: TEST_MODEL,
    kind: "checkpoint",
    family: "sdxl",
    variant: "base",
    path: "",
    bytes: 0,
    created: 0,
    title: "Test engine",
    description: "Flat pictures, for benches and tests",
    size: { width: 256, height: 256 },
    defaults: { steps: 4, guidance_scale: 1, scheduler: "euler", width: 256, height: 256 },
  };
}
