import { type ModelFiles, plainJob } from "../engine/picture-engine.ts";
import type { EncodedPicture, EngineAbout } from "../engine/protocol.ts";
import { EngineSupervisor } from "../engine/supervisor.ts";
import { completeRequest } from "../jobs/complete.ts";
import { newId } from "../jobs/ids.ts";
import { parseOrRefuse } from "../jobs/parse.ts";
import { type GenerationRequestInput, generationRequestSchema } from "../jobs/request.ts";
import { Catalogue } from "../models/catalogue.ts";
import { loadPresets } from "../models/presets.ts";
import { scanModels } from "../models/scan.ts";
import type { Settings } from "../settings/schema.ts";

/** What drawing a request on the engine took. */
export interface Drawn {
  seconds: number;
  /** Between two steps, as the job saw them. */
  stepSeconds: number[];
  width: number;
  height: number;
  steps: number;
  pictures: EncodedPicture[];
}

/** An engine process like the service's, for self tests and measurements: without queue, database and storage. */
export class LocalEngine {
  readonly about: EngineAbout;
  readonly catalogue: Catalogue;
  readonly #supervisor: EngineSupervisor;

  private constructor(supervisor: EngineSupervisor, about: EngineAbout, catalogue: Catalogue) {
    this.#supervisor = supervisor;
    this.about = about;
    this.catalogue = catalogue;
  }

  /** Raises KilnError where the settings ask for what this machine does not have. */
  static async start(settings: Settings, catalogue: Catalogue): Promise<LocalEngine> {
    const supervisor = new EngineSupervisor({
      engine: {
        implementation: settings.KILN_ENGINE,
        device: settings.KILN_DEVICE,
        backend: settings.KILN_BACKEND,
        precision: settings.KILN_PRECISION,
        slots: settings.KILN_SLOTS,
        stepMilliseconds: settings.KILN_TEST_ENGINE_STEP_MS,
      },
      hangSeconds: settings.KILN_ENGINE_HANG_SECONDS,
      onLog: () => {},
    });
    return new LocalEngine(supervisor, await supervisor.start(), catalogue);
  }

  async load(model: ModelFiles): Promise<void> {
    await this.#supervisor.load({ id: model.id, path: model.path });
  }

  /** Draws a native request that names no pictures, LoRAs or ControlNets. */
  async draw(input: GenerationRequestInput): Promise<Drawn> {
    const request = completeRequest(parseOrRefuse(generationRequestSchema, input), this.catalogue, { loras: [], metadata: true });
    const { id, path } = this.catalogue.require(request.model, "checkpoint", "model");
    const started = performance.now();
    let lastStep = 0;
    const stepSeconds: number[] = [];
    const pictures = await this.#supervisor.run(
      plainJob({ id: newId("job"), request, checkpoint: { id, path } }),
      new AbortController().signal,
      (news) => {
        if (news.type !== "progress" || news.phase !== "denoising") return;
        const now = performance.now();
        if (lastStep > 0) stepSeconds.push((now - lastStep) / 1000);
        lastStep = now;
      },
    );
    const { width, height, steps } = request;
    return { seconds: (performance.now() - started) / 1000, stepSeconds, width, height, steps, pictures };
  }

  async stop(): Promise<void> {
    await this.#supervisor.stop();
  }
}

/** The models that these settings find. Warnings about files that are none go to `warn`. */
export async function findModels(settings: Settings, warn: (message: string) => void): Promise<Catalogue> {
  const presets = loadPresets(settings.KILN_PRESETS, settings.KILN_DATA_DIR);
  const catalogue = new Catalogue({
    scan: async () => await scanModels(settings, warn),
    aliases: () => presets.aliases,
    overrides: () => presets.models,
    warn,
    defaultModel: settings.KILN_DEFAULT_MODEL ?? settings.SDXL_MODEL_ID,
  });
  await catalogue.refresh();
  return catalogue;
}
