import { VERSION } from "@kiln/diffusion";
import { Command } from "commander";
import { invalid } from "./arguments.ts";
import { accelCommand } from "./commands/accel.ts";
import { benchCommand } from "./commands/bench.ts";
import { configCommand } from "./commands/config.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { generateCommand } from "./commands/generate.ts";
import { gpuCommand } from "./commands/gpu.ts";
import { inspectCommand } from "./commands/inspect.ts";
import { keysCommand } from "./commands/keys.ts";
import { modelsCommand } from "./commands/models.ts";
import { schedulersCommand } from "./commands/schedulers.ts";
import { serveCommand } from "./commands/serve.ts";
import { viewsCommand } from "./commands/views.ts";
import { didYouMean } from "./did-you-mean.ts";

const LESSON = `Kiln draws pictures from words with Stable Diffusion XL, on this machine.

Three commands to try:
  kiln generate "a red house on green hills at sunset"
      draws with the demo checkpoint that comes with Kiln, and says where the picture is
  kiln generate "a portrait of an old sailor" --model ./sdxl.safetensors
      draws with a checkpoint of your own
  kiln serve
      the page and the APIs, at http://127.0.0.1:7860

kiln --help lists every command, and kiln COMMAND --help shows its options with examples.
`;

/** Every command of `kiln`. Without one it teaches. */
export function createProgram(): Command {
  const program = new Command("kiln")
    .description("Stable Diffusion XL on this machine: from .safetensors to pictures, with no Python and no export step.")
    .version(VERSION, "-V, --version", "say which version this is")
    .usage("[command] [options]")
    .argument("[words...]")
    .action((words: readonly string[]) => {
      const [unknown] = words;
      const known = program.commands.map((command) => command.name());
      if (unknown !== undefined) throw invalid(unknown, `There is no command "${unknown}". ${whatThereIs(unknown, known)}`);
      process.stdout.write(LESSON);
    });
  for (const command of [
    generateCommand(),
    inspectCommand(),
    schedulersCommand(),
    serveCommand(),
    modelsCommand(),
    keysCommand(),
    doctorCommand(),
    benchCommand(),
    configCommand(),
    accelCommand(),
    gpuCommand(),
    viewsCommand(),
  ]) {
    program.addCommand(command);
  }
  program.addHelpText(
    "after",
    `
Examples:
  $ kiln generate "a lighthouse by the sea at night with a full moon" --seed 1
  $ kiln inspect sdxl.safetensors
  $ kiln serve`,
  );
  makeAlike(program);
  return program;
}

/** The words that name a command, "kiln models pull", as far as there are commands of these names. */
export function commandOf(program: Command, words: readonly string[]): string {
  let command = program;
  for (const word of words) {
    const nested = command.commands.find((each) => each.name() === word);
    if (!nested) break;
    command = nested;
  }
  return [...ancestorsOf(command), command].map((each) => each.name()).join(" ");
}

function ancestorsOf({ parent }: Command): Command[] {
  return parent ? [...ancestorsOf(parent), parent] : [];
}

function whatThereIs(word: string, known: readonly string[]): string {
  const meant = didYouMean(word, known);
  return meant === undefined ? `There are ${known.join(", ")}.` : `Did you mean kiln ${meant}?`;
}

/** Help in one form; and failures are said once, by main. */
function makeAlike(command: Command): void {
  command
    .helpOption("-h, --help", "show this help")
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
  if (command.commands.length > 0) command.helpCommand("help [command]", "show the help of a command");
  for (const nested of command.commands) makeAlike(nested);
}
