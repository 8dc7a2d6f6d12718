import { Command } from "commander";
import { whole } from "../arguments.ts";

interface ServeOptions {
  readonly port?: number;
  readonly listen?: string;
  readonly model?: string;
  readonly models?: string;
  readonly data?: string;
}

export function serveCommand(): Command {
  return new Command("serve")
    .description("Start the service: the page, the native API and the dialects. Ctrl-C stops it.")
    .option("-p, --port <n>", "the page's port on this machine (default 7860)", whole("--port"))
    .option("--listen <list>", "addresses and the dialect at the root of each: 7860=instant,0.0.0.0:8007=queue")
    .option("-m, --model <name>", "the checkpoint for requests that name none: a name of the catalogue, or a path")
    .option("--models <folders>", "folders with checkpoints, LoRAs and ControlNets, by commas")
    .option("--data <folder>", "where pictures and records are kept (default ./data)")
    .addHelpText(
      "after",
      `
Every other setting is an environment variable; kiln config lists them.

Examples:
  $ kiln serve
  $ kiln serve --port 8080 --model ./sdxl.safetensors
  $ kiln serve --listen 7860=instant,0.0.0.0:8007=queue --models /srv/models`,
    )
    .action(serve);
}

async function serve(options: ServeOptions): Promise<void> {
  const { closeOnSignals, loadSettings, startServer } = await import("@kiln/server");
  const settings = loadSettings(environmentOf(options));
  const server = await startServer(settings);
  await closeOnSignals(server);
}

/** Options go over the environment: they are what was typed last. */
function environmentOf({ port, listen, model, models, data }: ServeOptions): NodeJS.ProcessEnv {
  return {
    ...process.env,
    ...(port === undefined ? {} : { KILN_LISTEN: `${port}=instant` }),
    ...(listen === undefined ? {} : { KILN_LISTEN: listen }),
    ...(model === undefined ? {} : { KILN_DEFAULT_MODEL: model }),
    ...(models === undefined ? {} : { MODELS_DIR: models }),
    ...(data === undefined ? {} : { KILN_DATA_DIR: data }),
  };
}
