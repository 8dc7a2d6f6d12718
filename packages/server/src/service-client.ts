import { z } from "zod";
import { messageOf, ServiceError } from "./errors.ts";
import type { Settings } from "./settings/schema.ts";

/** The address of the service that holds the database. Raises the error of the database where none answers. */
export async function runningService(settings: Settings, error: unknown = undefined): Promise<string> {
  for (const { host, port } of settings.KILN_LISTEN) {
    const name = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "[::1]" : host.includes(":") ? `[${host}]` : host;
    const url = `http://${name}:${port}`;
    if (await answersAsKiln(url)) return url;
  }
  throw error ?? new ServiceError("unavailable", "No service answers at the addresses of KILN_LISTEN.");
}

export async function answersAsKiln(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(2000) });
    return z.object({ status: z.literal("ok") }).safeParse(await response.json()).success;
  } catch {
    return false;
  }
}

/**
 * An admin's call to the service that runs with these settings, for commands that only it can carry out.
 * Raises ServiceError: `unavailable` where none answers, else what the service says.
 */
export async function callService(
  settings: Settings,
  apiKey: string | undefined,
  method: string,
  path: string,
): Promise<unknown> {
  return await callAt(await runningService(settings), apiKey, method, path);
}

/** As `callService`, of the service at an address. */
export async function callAt(
  url: string,
  apiKey: string | undefined,
  method: string,
  path: string,
  body?: object,
): Promise<unknown> {
  const headers: Record<string, string> = {
    ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
    ...(body ? { "content-type": "application/json" } : {}),
  };
  const response = await fetch(url + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  const text = await response.text();
  if (response.ok) return text === "" ? undefined : JSON.parse(text);
  throw refusalOf(response.status, text, url);
}

function refusalOf(status: number, text: string, url: string): ServiceError {
  if (status === 401)
    return new ServiceError(
      "unauthorized",
      `The service at ${url} runs and needs an admin's key: set KILN_API_KEY, or stop it first.`,
    );
  let detail = `The service at ${url} answers ${status}.`;
  try {
    detail = z.object({ detail: z.string() }).parse(JSON.parse(text)).detail;
  } catch (error) {
    detail = `${detail} (${messageOf(error).slice(0, 100)})`;
  }
  return new ServiceError(status === 404 ? "not_found" : status === 403 ? "forbidden" : "conflict", detail);
}
