import type { PullInto, PullProgress, Settings } from "@kiln/server";
import { Command, Option } from "commander";
import { invalid } from "../arguments.ts";
import { byteSize } from "../byte-size.ts";

interface PullCommandOptions {
  readonly into?: PullInto;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** Telling more often is reading that nobody does. */
const TERMINAL_MILLISECONDS = 200;
const LOG_MILLISECONDS = 10_000;

export function modelsCommand(): Command {
  return new Command("models")
    .description("List the models that are here, fetch others, remove what was fetched.")
    .addHelpText(
      "after",
      `
Examples:
  $ kiln models list
  $ kiln models pull stabilityai/stable-diffusion-xl-base-1.0
  $ kiln models pull ByteDance/SDXL-Lightning:sdxl_lightning_4step.safetensors
  $ kiln models pull https://civitai.com/models/101055
  $ kiln models delete stabilityai--stable-diffusion-xl-base-1.0`,
    )
    .addCommand(listCommand())
    .addCommand(pullCommand())
    .addCommand(deleteCommand())
    .addCommand(
      memoryCommand(
        "load",
        "Bring a checkpoint into the memory of the running service, so that the first picture need not wait.",
      ),
    )
    .addCommand(memoryCommand("unload", "Drop a checkpoint from the memory of the running service."));
}

function memoryCommand(action: "load" | "unload", description: string): Command {
  return new Command(action)
    .description(description)
    .argument("[model]", "its name, as `kiln models list` shows it; without one the service's default")
    .addHelpText("after", "\nOnce keys exist this needs an admin's in KILN_API_KEY.")
    .action(async (named: string | undefined) => {
      const { callAt, loadSettings, runningService } = await import("@kiln/server");
      const url = await runningService(loadSettings());
      const call = async (method: string, path: string) => await callAt(url, process.env.KILN_API_KEY, method, path);
      const model = named ?? defaultOf(await call("GET", "/v1/models"));
      await call("POST", `/v1/models/${encodeURIComponent(model)}/${action}`);
      process.stderr.write(`The engines have been told to ${action} ${model}.\n`);
    });
}

function defaultOf(list: unknown): string {
  const models: readonly unknown[] =
    typeof list === "object" && list !== null && "data" in list && Array.isArray(list.data) ? list.data : [];
  for (const model of models) {
    if (typeof model !== "object" || model === null || !("id" in model) || !("default" in model)) continue;
    if (model.default === true && typeof model.id === "string") return model.id;
  }
  throw invalid("model", "The service has no default checkpoint; name one.");
}

function listCommand(): Command {
  return new Command("list")
    .description("List the models of MODELS_DIR, the Hugging Face cache and the settings.")
    .option("--json", "as one JSON array")
    .action(async ({ json }: { json?: boolean }) => {
      const { findModels, loadSettings } = await import("@kiln/server");
      const catalogue = await findModels(loadSettings(), (message) => process.stderr.write(`kiln: ${message}\n`));
      const models = catalogue.list();
      if (json) {
        process.stdout.write(`${JSON.stringify(models, undefined, 2)}\n`);
        return;
      }
      const widest = Math.max(0, ...models.map(({ id }) => id.length));
      for (const { id, kind, family, bytes, path } of models)
        process.stdout.write(
          `${id.padEnd(widest)}  ${kind}${family === null ? "" : `, ${family}`}, ${byteSize(bytes)}  ${path}\n`,
        );
    });
}

function pullCommand(): Command {
  return new Command("pull")
    .description("Fetch a model from the Hugging Face hub or Civitai. The same command goes on where it was interrupted.")
    .argument("<source>", "org/name, org/name@revision, org/name:FILE, civitai:VERSION, or the address of a model's page")
    .addOption(
      new Option("--into <place>", "the Hugging Face cache or MODELS_DIR; default: the cache where HF_HOME is set").choices([
        "cache",
        "models",
      ]),
    )
    .option("--json", "the result as one JSON object on standard output")
    .option("-q, --quiet", "no progress")
    .addHelpText(
      "after",
      `
HF_TOKEN and CIVITAI_TOKEN are for models that need an account. Pickles are never fetched.

Examples:
  $ kiln models pull stabilityai/sdxl-turbo
  $ kiln models pull org/name@v2 --into models
  $ kiln models pull civitai:128713`,
    )
    .action(pull);
}

async function pull(text: string, options: PullCommandOptions): Promise<void> {
  const { checkInto, findModels, isInside, loadSettings, parseSource, pullModel } = await import("@kiln/server");
  const settings = loadSettings();
  const source = parseSource(text);
  checkInto(source, options.into);
  const abort = new AbortController();
  const interrupt = () => abort.abort();
  process.once("SIGINT", interrupt);
  const view = new PullView(options.quiet === true || options.json === true);
  try {
    const { root, fetched, files } = await pullModel(source, {
      settings,
      into: options.into,
      signal: abort.signal,
      onProgress: (progress) => view.update(progress),
    });
    view.end();
    const catalogue = await findModels(settings, () => {});
    const models = catalogue
      .list()
      .filter(({ path }) => isInside(path, root))
      .map(({ id }) => id);
    await tellService(settings);
    if (options.json) process.stdout.write(`${JSON.stringify({ root, fetched_bytes: fetched, files, models })}\n`);
    else process.stdout.write(`${models.length === 0 ? `Nothing that Kiln can use was in it: ${root}` : models.join("\n")}\n`);
  } finally {
    process.off("SIGINT", interrupt);
    view.end();
  }
}

function deleteCommand(): Command {
  return new Command("delete")
    .description("Remove the files of a model that was fetched with Kiln; others are left alone.")
    .argument("<id>", "the model's name in kiln models list")
    .action(async (id: string) => {
      const { findModels, loadSettings, PullError, Receipts } = await import("@kiln/server");
      const settings = loadSettings();
      const model = (await findModels(settings, () => {})).get(id);
      if (!model) throw new PullError("not_found", `There is no model "${id}"; kiln models list shows what there is.`);
      const bytes = await new Receipts(settings.KILN_DATA_DIR).removeModel(model.id, model.path);
      await tellService(settings);
      process.stdout.write(`${byteSize(bytes)} are free again.\n`);
    });
}

/** A service that runs here looks again at what is installed. One that needs a key finds out by KILN_API_KEY or at its next start. */
async function tellService(settings: Settings): Promise<void> {
  const { callAt, runningService } = await import("@kiln/server");
  const url = await runningService(settings).catch(() => undefined);
  if (url === undefined) return;
  await callAt(url, process.env.KILN_API_KEY, "POST", "/v1/models/refresh").catch(() => {
    process.stderr.write(`The service at ${url} does not know of it yet: send POST /v1/models/refresh with an admin's key.\n`);
  });
}

class PullView {
  readonly #quiet: boolean;
  readonly #terminal = process.stderr.isTTY === true;
  #toldAt = 0;
  #begun: { at: number; bytes: number } | undefined;
  #open = false;

  constructor(quiet: boolean) {
    this.#quiet = quiet;
  }

  update({ phase, file = "", filesDone, filesTotal, bytesDone, bytesTotal }: PullProgress): void {
    const now = performance.now();
    if (this.#quiet || phase === "listing") return;
    this.#begun ??= { at: now, bytes: bytesDone };
    if (now - this.#toldAt < (this.#terminal ? TERMINAL_MILLISECONDS : LOG_MILLISECONDS)) return;
    this.#toldAt = now;
    const rate = (bytesDone - this.#begun.bytes) / Math.max(0.001, (now - this.#begun.at) / 1000);
    const left = rate > 0 ? `, ${Math.ceil((bytesTotal - bytesDone) / rate)} s left` : "";
    const line = `${byteSize(bytesDone)} of ${byteSize(bytesTotal)} (${byteSize(rate)}/s${left})  ${filesDone + 1}/${filesTotal} ${file}`;
    process.stderr.write(this.#terminal ? `\r\u001b[K${line.slice(0, (process.stderr.columns ?? 80) - 1)}` : `${line}\n`);
    this.#open = this.#terminal;
  }

  end(): void {
    if (this.#open) process.stderr.write("\r\u001b[K");
    this.#open = false;
  }
}
