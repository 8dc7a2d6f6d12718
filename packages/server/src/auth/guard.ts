import type { FastifyRequest } from "fastify";
import { ServiceError } from "../errors.ts";
import { type Caller, LOCAL_CALLER } from "./caller.ts";
import { credentialOf, isSentByBrowsers } from "./credentials.ts";
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
 * names this machine: a page elsewhere whose name was re-bound to 127.0.0.1 sends its own name as Host. What a browser
 * may have sent without its user's doing is taken from this server's own pages and the configured ones alone.
 * Raises `unauthorized` or `origin_refused`.
 */
export async function admit(request: FastifyRequest, options: GuardOptions): Promise<Caller> {
  const keyless = options.loopback && !(await options.keys.any());
  if (keyless) requireOwnHost(request, options);
  if (keyless || isSentByBrowsers(request.headers)) requireOwnOrigin(request, options);
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

/**
 * Whether who was admitted still would be: keys are revoked and tokens end while streams are open. Yes while the records
 * cannot be asked.
 */
export async function isStillAdmitted(request: FastifyRequest, options: GuardOptions): Promise<boolean> {
  try {
    return (await admit(request, options)).owner === request.caller.owner;
  } catch (error) {
    return !(error instanceof ServiceError && (error.code === "unauthorized" || error.code === "origin_refused"));
  }
}

/** On loopback, while no key exists, what needs no key is for this machine's own names alone too. Raises `origin_refused`. */
export async function refuseOtherNames(request: FastifyRequest, options: GuardOptions): Promise<void> {
  if (!options.loopback) return;
  try {
    requireOwnHost(request, options);
    requireOwnOrigin(request, options);
  } catch (error) {
    // The records are asked for other names alone: health is told while they are away.
    if (!(await options.keys.any())) throw error;
  }
}

function requireOwnHost(request: FastifyRequest, { hosts }: GuardOptions): void {
  if (!ownHost(request.headers.host, hosts)) {
    throw new ServiceError(
      "origin_refused",
      "This server answers to loopback names; add the Host name to KILN_HOSTS, or create an API key.",
    );
  }
}

function requireOwnOrigin(request: FastifyRequest, { loopback, hosts, origins }: GuardOptions): void {
  const { origin } = request.headers;
  if (origin === undefined || origins.includes(origin)) return;
  const from = hostnameOf(origin);
  const isOwn =
    from !== undefined &&
    (from === hostnameOf(`http://${request.host}`) || (loopback ? ownName(from, hosts) : hosts.includes(from)));
  if (!isOwn)
    throw new ServiceError("origin_refused", "Pages of this origin may not call this server; add it to KILN_CORS_ORIGINS.");
}
