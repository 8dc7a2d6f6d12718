import { Command } from "commander";

export function gpuCommand(): Command {
  return new Command("gpu")
    .description("The memory of the running service's device, in GiB, as one JSON object.")
    .addHelpText(
      "after",
      `
Once keys exist this needs an admin's in KILN_API_KEY.

Examples:
  $ kiln gpu`,
    )
    .action(async () => {
      const { callService, loadSettings } = await import("@kiln/server");
      const status = await callService(loadSettings(), process.env.KILN_API_KEY, "GET", "/v1/gpu");
      process.stdout.write(`${JSON.stringify(status)}\n`);
    });
}
