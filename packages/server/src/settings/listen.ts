import { z } from "zod";

/** One address that the server listens on, and the dialect that is served at its root. */
export interface Listener {
  host: string;
  port: number;
  dialect: string;
}

export const DIALECT_NAMES = ["native", "views", "queue", "pose", "instant", "depth"] as const;

/** What is at the root of an address that names no dialect. */
const DEFAULT_DIALECT = "instant";
const ENTRY = /^(?:(?<host>\[[0-9a-fA-F:.]+\]|[^:[\]]+):)?(?<port>\d{1,5})(?:=(?<dialect>[a-z0-9-]+))?$/;

/** `"7860=instant,0.0.0.0:8007=queue"` as listeners. Without a host a listener is on loopback, without a dialect it is instant. */
export const listenSchema = z.string().transform((text, context): Listener[] => {
  const listeners: Listener[] = [];
  for (const entry of text.split(",").map((part) => part.trim())) {
    const groups = ENTRY.exec(entry)?.groups;
    const port = Number(groups?.port);
    const dialect = groups?.dialect ?? DEFAULT_DIALECT;
    if (!groups || port > 65535) {
      context.addIssue({
        code: "custom",
        message: `"${entry}" is not [host:]port[=dialect], for example 0.0.0.0:7860 or 8007=queue`,
      });
      return z.NEVER;
    }
    if (!(DIALECT_NAMES as readonly string[]).includes(dialect)) {
      context.addIssue({ code: "custom", message: `"${dialect}" is no dialect; there are ${DIALECT_NAMES.join(", ")}` });
      return z.NEVER;
    }
    listeners.push({ host: (groups.host ?? "127.0.0.1").replace(/^\[|\]$/g, ""), port, dialect });
  }
  return listeners;
});

/** Whether an address is this machine's own and nobody else's. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host) || host === "::ffff:127.0.0.1";
}
