import type { IncomingHttpHeaders } from "node:http";

/**
 * Whether a credential is of the kind that browsers keep and send by themselves, with what pages of other sites ask for
 * too. All others are put into a request by whoever knows them.
 */
export function isSentByBrowsers({ authorization }: IncomingHttpHeaders): boolean {
  return authorization !== undefined && /^\s*basic\s/i.test(authorization);
}

/** The key that a request carries: Bearer, Token, Basic (the password, else the user name), X-API-Key, or `?token=` of a WebSocket. */
export function credentialOf(headers: IncomingHttpHeaders, url: string): string | undefined {
  const { authorization } = headers;
  const apiKey = headers["x-api-key"];
  if (typeof apiKey === "string" && apiKey !== "") return apiKey;
  if (authorization !== undefined) {
    const [, scheme = "", rest = ""] = /^(\w+) +(.+)$/.exec(authorization.trim()) ?? [];
    if (/^(bearer|token)$/i.test(scheme)) return rest.trim();
    if (/^basic$/i.test(scheme)) {
      const [user = "", ...password] = Buffer.from(rest, "base64").toString("utf8").split(":");
      return password.join(":") || user;
    }
    return authorization;
  }
  // A browser's WebSocket cannot send headers. Other requests keep keys out of addresses, which end up in logs.
  if (headers.upgrade?.toLowerCase() !== "websocket") return undefined;
  return new URLSearchParams(url.split("?")[1] ?? "").get("token") ?? undefined;
}
