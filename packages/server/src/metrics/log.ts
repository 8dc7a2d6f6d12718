import { type Logger, pino } from "pino";
import type { Settings } from "../settings/schema.ts";

/** Structured logs on standard output. Keys and passwords never get into them. */
export function makeLog(settings: Settings): Logger {
  const level = settings.LOG_LEVEL === "warning" ? "warn" : settings.LOG_LEVEL;
  return pino({
    level,
    base: { service: "kiln", role: settings.KILN_ROLE },
    redact: ["*.authorization", "*.cookie", '*["x-api-key"]', "*.secret", "*.key"],
  });
}
