import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

function first(places: string[]): string | undefined {
  return places.map((place) => fileURLToPath(new URL(place, import.meta.url))).find((path) => existsSync(path));
}

/** For MODELS_DIR: the folder that holds the demo checkpoint, where there is one. */
export const DEMO_FOLDER = folderOf(
  first(["../../../../models/kiln-demo/model_index.json", "../../../../../shared/demo/kiln-demo/model_index.json"]),
);

/** For MODELS_DIR: the small checkpoints of random weights, with ControlNets, LoRAs and a refiner, where they are. */
export const REFERENCE_FOLDER = first([
  "../../../../../shared/reference/checkpoints",
  "../../../diffusion/fixtures/reference/checkpoints",
]);

function folderOf(file: string | undefined): string | undefined {
  return file === undefined ? undefined : dirname(dirname(file));
}
