import { reportFailure } from "./failure.ts";
import { commandOf, createProgram } from "./program.ts";

/**
 * Runs the command that `argv` (as `process.argv`) names. Never throws: failures are one sentence on standard error
 * (with `--json` an object on standard output) and exit code 1; Ctrl-C is exit code 130.
 */
export async function main(argv: readonly string[]): Promise<void> {
  // `kiln schedulers | head` closes the pipe early, which is nothing to complain of.
  process.stdout.on("error", (error) => {
    if ("code" in error && error.code === "EPIPE") process.exit(0);
    throw error;
  });
  const program = createProgram();
  try {
    await program.parseAsync([...argv]);
  } catch (error) {
    process.exitCode = reportFailure(error, { command: commandOf(program, argv.slice(2)), json: argv.includes("--json") });
  }
}
