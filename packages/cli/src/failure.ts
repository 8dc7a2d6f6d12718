import { KilnError } from "@kiln/diffusion";
import { CommanderError } from "commander";

const FAILED = 1;
/** What a shell gives a command that SIGINT ended. */
const INTERRUPTED = 130;

/**
 * Says in one sentence what went wrong; `KILN_DEBUG=1` adds the stack.
 * @returns the exit code
 */
export function reportFailure(error: unknown, { json }: { json: boolean }): number {
  if (error instanceof CommanderError && error.exitCode === 0) return 0; // --help and --version end this way
  if (error instanceof CommanderError && error.code === "commander.help") return FAILED; // a command of several, named without one: its help was shown
  const { code, message, subject } = describe(error);
  if (json)
    process.stdout.write(`${JSON.stringify({ error: { code, message, ...(subject === undefined ? {} : { subject }) } })}\n`);
  else process.stderr.write(`kiln: ${message} [${code}]\n`);
  if (process.env.KILN_DEBUG === "1" && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return code === "cancelled" ? INTERRUPTED : FAILED;
}

function describe(error: unknown): { code: string; message: string; subject?: string | undefined } {
  if (error instanceof KilnError) return error;
  if (error instanceof CommanderError) {
    const message = error.message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ");
    return {
      code: "invalid_request",
      message: `${capital(message)}${/[.)?]$/.test(message) ? "" : "."} --help shows what there is.`,
    };
  }
  if (error instanceof Error && "code" in error && error.code === "EADDRINUSE") {
    const port = "port" in error ? ` ${String(error.port)}` : "";
    return { code: "port_taken", message: `Port${port} is taken by another program: end it, or choose another with --port.` };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: codeOf(error), message };
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "internal";
  if (error.name === "SettingsError") return "invalid_request";
  return "code" in error && typeof error.code === "string" ? error.code : "internal";
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
