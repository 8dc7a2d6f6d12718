import type { Logger } from "pino";
import type { Closer } from "../close-parts.ts";
import type { Settings } from "../settings/schema.ts";
import { EngineSupervisor } from "./supervisor.ts";

export interface StartedEngine {
  supervisor: EngineSupervisor;
  ready: Promise<unknown>;
}

/** The devices that this process draws on: an engine for each. */
export function devicesOf({ KILN_DEVICES, KILN_DEVICE }: Settings): readonly string[] {
  return KILN_DEVICES ?? [KILN_DEVICE];
}

/**
 * Starts an engine's process as the settings say.
 * @param device one of `devicesOf`
 * @param onDeath hears of every end of the process that nobody asked for
 */
export function startEngine(
  settings: Settings,
  device: string,
  log: Logger,
  onDeath: () => void,
  closers: Closer[],
): StartedEngine {
  const supervisor = new EngineSupervisor({
    engine: {
      implementation: settings.KILN_ENGINE,
      device,
      backend: settings.KILN_BACKEND,
      precision: settings.KILN_PRECISION,
      slots: settings.KILN_SLOTS,
      memoryBudget: settings.KILN_MEMORY_BUDGET,
      stepMilliseconds: settings.KILN_TEST_ENGINE_STEP_MS,
      tracesTo: settings.OTEL_EXPORTER_OTLP_ENDPOINT,
    },
    hangSeconds: settings.KILN_ENGINE_HANG_SECONDS,
    onLog: (level, message, details) => {
      if (level === "warn") onDeath();
      log[level](details ?? {}, message);
    },
  });
  closers.push(() => supervisor.stop());
  const ready = supervisor.start();
  ready.catch(() => {}); // it is heard where it is waited for
  return { supervisor, ready };
}
