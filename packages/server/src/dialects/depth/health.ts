import type { ServerContext } from "../../http/dialect.ts";
import { loadedModels } from "../../http/native/models.ts";
import { findModel } from "./models.ts";
import { MODEL_KEYS } from "./request.ts";

/** An engine that is not there so long after the start is not starting any more. */
const STARTING_SECONDS = 120;
const MEBIBYTE = 1024 ** 2;

export type HealthStatus = "starting" | "loading_models" | "ready" | "error";

/** The contract's health. It remembers that preloading has ended: a model that is unloaded later is not loading. */
export class Health {
  readonly #context: ServerContext;
  #preloaded = false;

  constructor(context: ServerContext) {
    this.#context = context;
  }

  async view(): Promise<object> {
    const context = this.#context;
    const uptime = Math.round((Date.now() - context.startedAt) / 1000);
    const loaded = await loadedModels(context).catch(() => new Set<string>());
    const healthy = await context.checkReady().then(
      () => true,
      () => false,
    );
    const status = healthy ? this.#loadingOrReady(loaded) : await startingOrError(context, uptime);
    return {
      status,
      model_server_healthy: healthy,
      models_loaded: [...loaded],
      memory_usage: await memoryUsage(context),
      uptime,
      ready_for_inference: status === "ready",
    };
  }

  #loadingOrReady(loaded: ReadonlySet<string>): HealthStatus {
    const target = preloadTarget(this.#context);
    this.#preloaded ||= target === undefined || loaded.has(target);
    return this.#preloaded ? "ready" : "loading_models";
  }
}

/** The id of the checkpoint that PRELOAD_MODEL names, by the contract's names too. */
export function preloadTarget({ settings, catalogue }: ServerContext): string | undefined {
  const name = settings.PRELOAD_MODEL;
  if (name === undefined) return undefined;
  const key = MODEL_KEYS.find((each) => each === name);
  return (key ? findModel(key, catalogue) : catalogue.find(name, "checkpoint"))?.id;
}

async function startingOrError({ supervisor, workers }: ServerContext, uptime: number): Promise<HealthStatus> {
  const alive = supervisor
    ? supervisor.isReady
    : (await workers.alive().catch(() => [])).some(({ state }) => state.ready === true);
  return !alive && uptime < STARTING_SECONDS ? "starting" : "error";
}

/** In MiB. Kiln does not tell what a device's allocator keeps, so `cached` is what is allocated. */
async function memoryUsage({ supervisor, workers }: ServerContext): Promise<object> {
  const [worker] = supervisor?.memory ? [] : await workers.alive().catch(() => []);
  const memory: object = supervisor?.memory ?? asObject(worker?.state.memory);
  const part = (name: string) => {
    const bytes: unknown = Reflect.get(memory, name);
    return typeof bytes === "number" ? Math.round(bytes / MEBIBYTE) : 0;
  };
  return {
    ram_mb: Math.round(process.memoryUsage().rss / MEBIBYTE) + part("process"),
    gpu_memory: { allocated: part("deviceUsed"), cached: part("deviceUsed"), total: part("deviceTotal") },
  };
}

function asObject(value: unknown): object {
  return typeof value === "object" && value !== null ? value : {};
}
