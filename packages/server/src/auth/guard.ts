import type { FastifyRequest } from "fastify";
import { ServiceError } from "../errors.ts";
import { type Caller, LOCAL_CALLER } from "./caller.ts";
import { credentialOf } from "./credentials.ts";
import type { Keys } from "./keys.ts";
import { hostnameOf, ownHost, ownName } from "./own-host.ts";

export interface GuardOptions {
  keys: Keys;
  /** Whether the listener is on loopback. */
  loopback: boolean;
  /** Host names besides loopback's that are this server's. */
  hosts: readonly string[];
  /** Origins whose pages may call. */
  origins: readonly string[];
}

/**
 * Decides who calls. On loopback, while no key exists, it is the person at the machine, provided that the request
 * names this machine: a page elsewhere whose name was re-bound to 127.0.0.1 sends its own name as Host.
 * Raises `unauthorized` or `origin_refused`.
 */
export async function admit(request: FastifyRequest, options: GuardOptions): Promise<Caller> {
  const keyless = options.loopback && !(await options.keys.any());
  if (keyless) requireOwnNames(request, options);
  const credential = credentialOf(request.headers, request.url);
  const known = credential === undefined ? undefined : await request.routeOptions.config.identify?.(credential);
  if (known) return known;
  if (keyless) return LOCAL_CALLER;
  const caller = credential === undefined ? undefined : await options.keys.verify(credential);
  if (caller) return caller;
  const hint =
    credential === undefined ? "An API key is needed: send it as Authorization: Bearer <key>." : "The API key is not known.";
  throw new ServiceError("unauthorized", hint);
}

function requireOwnNames(request: FastifyRequest, { hosts, origins }: GuardOptions): void {
  if (!ownHost(request.headers.host, hosts)) {
    throw new ServiceError(
      "origin_refused",
      "This server answers to loopback names; add the Host name to KILN_HOSTS, or create an API key.",
    );
  }
  const { origin } = request.headers;
  if (origin === undefined || origins.includes(origin)) return;
  const from = hostnameOf(origin);
  if (from === undefined || !ownName(from, hosts)) {
    throw new ServiceError("origin_refused", "Pages of this origin may not call this server; add it to KILN_CORS_ORIGINS.");
  }
}
