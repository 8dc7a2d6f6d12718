import { ServiceError } from "../errors.ts";
import type { ModelInfo, ModelKind } from "./model.ts";
import { type ModelOverrides, overrideModel } from "./overrides.ts";

export interface CatalogueOptions {
  /** Finds what is installed. Called at the start and at each refresh. */
  scan(): Promise<ModelInfo[]>;
  /** Other names for models, of the operator and of the services that Kiln stands in for. */
  aliases(): Readonly<Record<string, string>>;
  /** The operator's word on single models, by their names. */
  overrides?(): Readonly<Record<string, ModelOverrides>>;
  /** Hears of overrides for models that are not there. */
  warn?(message: string): void;
  defaultModel: string | undefined;
}

/** The models that are installed, by kind and name. */
export class Catalogue {
  readonly #options: CatalogueOptions;
  #models: ModelInfo[] = [];

  constructor(options: CatalogueOptions) {
    this.#options = options;
  }

  async refresh(): Promise<void> {
    let models = await this.#options.scan();
    for (const [name, overrides] of Object.entries(this.#options.overrides?.() ?? {})) {
      const plain = plainName(name);
      const target = models.find(({ id }) => id === name) ?? models.find(({ id }) => plainName(id) === plain);
      if (target) models = models.map((model) => (model === target ? overrideModel(model, overrides) : model));
      else this.#options.warn?.(`models."${name}" of the presets is for no model that is installed`);
    }
    this.#models = models;
  }

  list(kind?: ModelKind): readonly ModelInfo[] {
    return kind ? this.#models.filter((model) => model.kind === kind) : this.#models;
  }

  get(id: string): ModelInfo | undefined {
    return this.#models.find((model) => model.id === id);
  }

  /** The model that a name means: its id, an alias, its id without case or extension. */
  find(name: string, kind: ModelKind): ModelInfo | undefined {
    const models = this.list(kind);
    const target = this.#aliasOf(name) ?? name;
    const plain = plainName(target);
    return (
      models.find((model) => model.id === target) ??
      models.find((model) => plainName(model.id) === plain) ??
      models.find((model) => plainName(model.title) === plain) ??
      models.find((model) => model.path === target)
    );
  }

  #aliasOf(name: string): string | undefined {
    const aliases = this.#options.aliases();
    if (Object.hasOwn(aliases, name)) return aliases[name];
    return Object.entries(this.#options.overrides?.() ?? {}).find(([, overrides]) => overrides.aliases.includes(name))?.[0];
  }

  /** As find; raises `model_not_found`, which names the field and what is there. */
  require(name: string, kind: ModelKind, field: string): ModelInfo {
    const model = this.find(name, kind);
    if (model) return model;
    const known = this.list(kind).map(({ id }) => id);
    const there = known.length === 0 ? `no ${kind} is installed` : `installed are ${known.slice(0, 10).join(", ")}`;
    throw new ServiceError("model_not_found", `There is no ${kind} "${name.slice(0, 200)}": ${there}.`, { field });
  }

  /** The checkpoint for requests that name none. */
  default(): ModelInfo {
    const named = this.#options.defaultModel === undefined ? undefined : this.find(this.#options.defaultModel, "checkpoint");
    const usable = this.list("checkpoint").filter(({ family }) => family === "sdxl" || family === "sd15");
    const model = named ?? usable.find(({ variant }) => variant !== "demo") ?? usable[0];
    if (!model)
      throw new ServiceError("unavailable", "No checkpoint is installed; put one into MODELS_DIR or run `kiln models pull`.");
    return model;
  }
}

function plainName(name: string): string {
  return name
    .toLowerCase()
    .replace(/ \[[0-9a-f]+\]$/, "")
    .replace(/\.safetensors$/, "");
}
