import type { Model } from "../../api/types.ts";
import type { Settings } from "./settings.ts";

/** One line that says what the folded settings are. */
export function settingsInWords(settings: Settings, model: Model | undefined): string {
  const size = settings.size ?? model;
  const steps = settings.steps ?? model?.steps;
  const parts = [
    size !== undefined && `${size.width} × ${size.height}`,
    steps !== undefined && `${steps} steps`,
    settings.seedLocked && `seed ${settings.seed}`,
    settings.count > 1 && `${settings.count} pictures`,
  ];
  return parts.filter((part) => part !== false).join(", ");
}
