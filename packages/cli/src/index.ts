import { reportFailure } from "./failure.ts";
import { createProgram } from "./program.ts";

/**
 * Runs the command that `argv` (as `process.argv`) names. Never throws: failures are one sentence on standard error
 * (with `--json` an object on standard output) and exit code 1; Ctrl-C is exit code 130.
 */
export async function main(argv: readonly string[]): Promise<void> {
  try {
    await createProgram().parseAsync([...argv]);
  } catch (error) {
    process.exitCode = reportFailure(error, { json: argv.includes("--json") });
  }
}
