import { chooseBackend } from "@kiln/diffusion";
import type { RunningServer, Settings } from "@kiln/server/serve";
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
  const { closeOnSignals, loadSettings, startServer } = await import("@kiln/server/serve");
  const settings = loadSettings(environmentOf(options));
  const server = await startServer(settings);
  await checkModel(server, options.model);
  process.stderr.write(greeting(server, settings));
  await closeOnSignals(server);
  process.stderr.write("Kiln has stopped.\n");
  // A part that was left behind, as it waits for a server that is away, keeps no process.
  process.exit(0);
}

/** A model that was typed is meant: without it nothing is served, where the environment's would give way to another. */
async function checkModel(server: RunningServer, model: string | undefined): Promise<void> {
  if (model === undefined) return;
  try {
    server.context.catalogue.require(model, "checkpoint", "--model");
  } catch (error) {
    await server.close();
    throw error;
  }
}

/** Options go over the environment: they are what was typed last. */
function environmentOf({ port, listen, model, models, data }: ServeOptions): NodeJS.ProcessEnv {
  // A person at a terminal reads the greeting; whoever collects logs gets them all.
  const level = process.stdout.isTTY && process.env.LOG_LEVEL === undefined ? { LOG_LEVEL: "warn" } : {};
  return {
    ...process.env,
    ...level,
    ...(port === undefined ? {} : { KILN_LISTEN: `${port}=instant` }),
    ...(listen === undefined ? {} : { KILN_LISTEN: listen }),
    ...(model === undefined ? {} : { KILN_DEFAULT_MODEL: model }),
    ...(models === undefined ? {} : { MODELS_DIR: models }),
    ...(data === undefined ? {} : { KILN_DATA_DIR: data }),
  };
}

/** What is running, with what, for whom, and what to do next. */
function greeting({ listeners, context }: RunningServer, settings: Settings): string {
  const [first] = listeners;
  if (first === undefined) return "Kiln works for a queue and listens on no address.\n";
  const model = modelOf(context);
  const lines: [string, string][] = [
    ["Page and API", first.url],
    ...listeners.slice(1).map(({ url, dialect }): [string, string] => [`${dialect} API`, url]),
    ["Model", model?.name ?? "none yet: put a .safetensors file into a folder of MODELS_DIR, or name one with --model"],
    ["Backend", backendOf(context)],
    ["Open to", listeners.every(({ url }) => isLocal(url)) ? "this machine alone" : "other machines, with an API key"],
    ["Kept in", settings.KILN_DATA_DIR],
  ];
  const own = model?.demo === false ? "" : "  - Draw with your own checkpoint: kiln serve --model FILE.safetensors\n";
  const body = `{"prompt": "${model?.demo === false ? "a lighthouse at night" : "a red house on green hills at sunset"}"}`;
  return `
Kiln is running.
${lines.map(([name, value]) => `  ${name.padEnd(13)} ${value}\n`).join("")}
Next:
  - Open ${first.url} in a browser and draw.
  - Draw from a program: curl -s ${first.url}/v1/jobs -H 'content-type: application/json' -d '${body}'
    The API is described at ${first.url}/docs.
${own}Ctrl-C stops it.
`;
}

function modelOf({ catalogue }: RunningServer["context"]): { name: string; demo: boolean } | undefined {
  try {
    const { id, variant } = catalogue.default();
    const demo = variant === "demo" || id === "kiln-demo";
    return { name: demo ? `${id}, which draws small picture-book scenes` : id, demo };
  } catch {
    return undefined;
  }
}

function backendOf({ supervisor }: RunningServer["context"]): string {
  const about = supervisor?.about;
  if (about === undefined) return "none in this process: workers draw";
  // Elsewhere the device was named, or is its own reason.
  return /onnx.*cpu/i.test(about.backend) ? `${about.backend}; ${chooseBackend().why}` : about.backend;
}

function isLocal(url: string): boolean {
  return /^https?:\/\/(127\.|localhost|\[::1\])/.test(url);
}
