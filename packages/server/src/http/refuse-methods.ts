import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from "fastify";
import { ServiceError } from "../errors.ts";

/** What clients send. HEAD comes with GET, and OPTIONS is CORS's. */
const METHODS: readonly HTTPMethods[] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/**
 * Follows the routes that a scope registers.
 * @returns registers 405 for the methods that none of its addresses has, in the scope's own form of errors; to be called
 * when the routes of all scopes are known, because two may share an address
 */
export function refuseOtherMethods(scope: FastifyInstance): () => void {
  const addresses = new Map<string, Set<string>>();
  scope.addHook("onRoute", ({ url, method }) => {
    const methods = addresses.get(url) ?? new Set();
    addresses.set(url, methods);
    for (const each of [method].flat()) methods.add(each);
  });
  return () => {
    for (const [url, known] of [...addresses]) {
      const missing = METHODS.filter((method) => !known.has(method) && !scope.hasRoute({ method, url }));
      if (missing.length === 0) continue;
      const allowed = METHODS.filter((method) => !missing.includes(method)).join(", ");
      const refuse = async ({ method }: FastifyRequest, reply: FastifyReply) => {
        reply.header("allow", allowed);
        throw new ServiceError("method_not_allowed", `Method "${method}" not allowed; this address takes ${allowed}.`);
      };
      // Before the body is read: whatever it is, the answer is the same.
      scope.route({ method: missing, url, config: { public: true }, onRequest: refuse, handler: refuse });
    }
  };
}
