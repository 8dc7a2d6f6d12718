import { isLoopback } from "../settings/listen.ts";

/** A name or an address, and a port. What else an address may hold (user, path) no client sends here. */
const HOST = /^[\w.:[\]-]+$/;

/** Whether a Host header names this machine: a page elsewhere whose name was re-bound to 127.0.0.1 sends its own name. */
export function ownHost(host: string | undefined, hosts: readonly string[]): boolean {
  const name = HOST.test(host ?? "") ? hostnameOf(`http://${host}`) : undefined;
  return name !== undefined && ownName(name, hosts);
}

/** Whether a host name is this machine's: loopback's, or one of the operator's. */
export function ownName(name: string, hosts: readonly string[]): boolean {
  return isLoopback(name) || hosts.includes(name);
}

export function hostnameOf(address: string): string | undefined {
  try {
    return new URL(address).hostname.replace(/^\[|\]$/g, "");
  } catch {
    return undefined;
  }
}
