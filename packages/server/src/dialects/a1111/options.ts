import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { ServiceError } from "../../errors.ts";
import type { ServerContext } from "../../http/dialect.ts";
import { parseFields } from "../field-errors.ts";
import { A1111Error } from "./errors.ts";
import { sendNull } from "./send-null.ts";
import { settingsSchema, shownSettings } from "./settings.ts";

const COLLECTION = "a1111-options";
/** A whole settings object with all extensions is some 30 kB. */
const MAX_OPTIONS_BYTES = 256 * 1024;

/** What callers set, each for themselves: one key's model is not another's. */
export class OptionsStore {
  readonly #context: ServerContext;
  /** The caller's document; one for each, also when the first two changes come at the same time. */
  readonly #ids = new Map<string, Promise<number>>();

  constructor(context: ServerContext) {
    this.#context = context;
  }

  async read(owner: string): Promise<Record<string, unknown>> {
    const [found] = await this.#context.documents.find(COLLECTION, { owner, limit: 1 });
    return found?.data ?? {};
  }

  async write(owner: string, change: Record<string, unknown>): Promise<void> {
    const merged = { ...(await this.read(owner)), ...change };
    if (JSON.stringify(merged).length > MAX_OPTIONS_BYTES) {
      throw new ServiceError("too_large", `The options would be larger than ${MAX_OPTIONS_BYTES / 1024} kB.`);
    }
    await this.#context.documents.update(COLLECTION, await this.#idOf(owner), change);
  }

  async #idOf(owner: string): Promise<number> {
    const known = this.#ids.get(owner) ?? this.#findOrMake(owner);
    this.#ids.set(owner, known);
    // Looked for anew by the next change.
    known.catch(() => this.#ids.delete(owner));
    return await known;
  }

  async #findOrMake(owner: string): Promise<number> {
    const { documents } = this.#context;
    const [found] = await documents.find(COLLECTION, { owner, limit: 1 });
    return (found ?? (await documents.insert(COLLECTION, owner, {}))).id;
  }
}

export function registerOptions(app: FastifyInstance, context: ServerContext, options: OptionsStore): void {
  app.get("/sdapi/v1/options", async (request) => shownSettings(await options.read(request.caller.owner), context));

  app.post("/sdapi/v1/options", async (request, reply) => {
    parseFields(settingsSchema, request.body, "body");
    const given = z.record(z.string(), z.unknown()).parse(request.body);
    const { sd_model_checkpoint: model } = given;
    if (typeof model === "string" && model !== "" && !context.catalogue.find(model, "checkpoint")) {
      throw new A1111Error(422, `model '${model.slice(0, 200)}' not found`);
    }
    // A setting without a value is the default, which clients that read the object back rely on.
    const known = Object.keys(settingsSchema.shape);
    const kept = Object.entries(given).filter(([name, value]) => value !== null || !known.includes(name));
    await options.write(request.caller.owner, Object.fromEntries(kept));
    return sendNull(reply);
  });
}
