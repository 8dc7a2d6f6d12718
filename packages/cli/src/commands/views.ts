import { Command } from "commander";
import { invalid } from "../arguments.ts";

export function viewsCommand(): Command {
  return new Command("views")
    .description("Operate the views service: its jobs are photos with two pictures each.")
    .addHelpText(
      "after",
      `
Once keys exist this needs an admin's in KILN_API_KEY. Its other tasks: kiln models load, kiln models unload, kiln gpu.

Examples:
  $ kiln views process 12
  $ kiln views process 12 14 15`,
    )
    .addCommand(processCommand());
}

function processCommand(): Command {
  return new Command("process")
    .description("Draw the pictures of jobs anew that have ended, with the scenario and message that they have now.")
    .argument("<jobs...>", "their ids")
    .action(async (words: readonly string[]) => {
      const jobs = words.map(idOf);
      const { callAt, loadSettings, runningService } = await import("@kiln/server");
      const settings = loadSettings();
      const listeners = settings.KILN_LISTEN.filter(({ dialect }) => dialect === "views");
      if (listeners.length === 0)
        throw invalid("KILN_LISTEN", "KILN_LISTEN names no listener of the views dialect; give it the service's, as 8001=views.");
      const url = await runningService({ ...settings, KILN_LISTEN: listeners });
      const answer = await callAt(url, process.env.KILN_API_KEY, "POST", "/v1/views/process", { jobs });
      process.stdout.write(`${JSON.stringify(answer)}\n`);
    });
}

function idOf(word: string): number {
  if (!/^\d{1,9}$/.test(word)) throw invalid("jobs", `A job's id is a whole number, not "${word}".`);
  return Number(word);
}
