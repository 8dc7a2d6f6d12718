import type { Check } from "@kiln/server";
import { Command } from "commander";

const MARKS = { ok: "ok     ", warning: "warning", failed: "FAILED " } as const;

export function doctorCommand(): Command {
  return new Command("doctor")
    .description(
      "Look at this machine and at everything that the settings name, and draw a picture. Exit code 1 if something is broken.",
    )
    .option("--json", "as one JSON object")
    .addHelpText(
      "after",
      `
Examples:
  $ kiln doctor
  $ DATABASE_URL=postgres://kiln@db/kiln kiln doctor --json`,
    )
    .action(async ({ json }: { json?: boolean }) => {
      const { loadSettings, runDoctor } = await import("@kiln/server");
      const diagnosis = await runDoctor(loadSettings(), json ? undefined : print);
      if (json) process.stdout.write(`${JSON.stringify(diagnosis, undefined, 2)}\n`);
      else process.stdout.write(diagnosis.ok ? "Everything that is needed works.\n" : "Something that is needed is broken.\n");
      if (!diagnosis.ok) process.exitCode = 1;
    });
}

function print({ name, status, detail }: Check): void {
  process.stdout.write(`${MARKS[status]}  ${name.padEnd(8)}  ${detail}\n`);
}
