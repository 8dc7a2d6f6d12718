import { Command } from "commander";

export function configCommand(): Command {
  return new Command("config")
    .description("List every setting of the service: its meaning, its default, and what is in force here.")
    .option("--json", "as one JSON array")
    .addHelpText(
      "after",
      `
Settings are environment variables, or keys of kiln.json in the working folder.

Examples:
  $ kiln config
  $ KILN_LISTEN=8007=queue kiln config --json`,
    )
    .action(async ({ json }: { json?: boolean }) => {
      const { describeSettings, loadSettings } = await import("@kiln/server");
      const settings = describeSettings(loadSettings());
      if (json) {
        process.stdout.write(`${JSON.stringify(settings, undefined, 2)}\n`);
        return;
      }
      for (const { name, about, default: fallback, value } of settings) {
        const inForce = value ?? "(not set)";
        process.stdout.write(
          `${name} = ${inForce}\n    ${about}${fallback === undefined ? "" : ` Default: ${fallback === "" ? "(empty)" : fallback}.`}\n`,
        );
      }
    });
}
