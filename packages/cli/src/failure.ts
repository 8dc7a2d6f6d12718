import { KilnError } from "@kiln/diffusion";
import { CommanderError } from "commander";

const FAILED = 1;
/** What a shell gives a command that SIGINT ended. */
const INTERRUPTED = 130;

/**
 * Says in one sentence what went wrong; `KILN_DEBUG=1` adds the stack.
 * @param command whose help is pointed to, "kiln models pull"
 * @returns the exit code
 */
export function reportFailure(error: unknown, { command, json }: { command: string; json: boolean }): number {
  if (error instanceof CommanderError && error.exitCode === 0) return 0; // --help and --version end this way
  if (error instanceof CommanderError && error.code === "commander.help") return FAILED; // a command of several, named without one: its help was shown
  const { code, message, subject } = describe(error, command);
  if (json)
    process.stdout.write(`${JSON.stringify({ error: { code, message, ...(subject === undefined ? {} : { subject }) } })}\n`);
  else process.stderr.write(`kiln: ${message} [${code}]\n`);
  if (process.env.KILN_DEBUG === "1" && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return code === "cancelled" ? INTERRUPTED : FAILED;
}

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly subject?: string | undefined;
}

function describe(error: unknown, command: string): Failure {
  if (error instanceof KilnError) return error;
  if (error instanceof CommanderError) return { code: "invalid_request", message: ofArguments(error.message, command) };
  if (error instanceof Error && "code" in error && error.code === "EADDRINUSE") {
    const port = "port" in error ? ` ${String(error.port)}` : "";
    return { code: "port_taken", message: `Port${port} is taken by another program: end it, or choose another with --port.` };
  }
  if (error instanceof Error && "path" in error && "code" in error && FILE_ERRORS.has(String(error.code))) {
    const message = `${String(error.path)} cannot be used (${String(error.code)}): check the path, its permissions and the room on its disk.`;
    return { code: "file_not_found", message, subject: String(error.path) };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: codeOf(error), message };
}

/** What the system says of files and folders that cannot be read, written or made. */
const FILE_ERRORS: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "EISDIR", "EACCES", "EPERM", "EROFS", "ENOSPC"]);

/** commander's words for wrong arguments, with its guess at what was meant, or where to look. */
function ofArguments(words: string, command: string): string {
  const [, guess] = /\((Did you mean .+\?)\)/.exec(words) ?? [];
  const sentence = words
    .replace(/^error: /, "")
    .replace(/\s*\(Did you mean .*$/s, "")
    .replace(/\.?$/, ".");
  return `${capital(sentence)} ${guess ?? `${command} --help shows what there is.`}`;
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "internal";
  if (error.name === "SettingsError") return "invalid_request";
  return "code" in error && typeof error.code === "string" ? error.code : "internal";
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
