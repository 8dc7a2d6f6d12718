import type { FastifyInstance, FastifyRequest } from "fastify";
import { requestScope } from "../http/request-scope.ts";
import type { TraceSpan, Tracing } from "./tracing.ts";

/** Asked every few seconds by machines; their spans would bury all others. */
const NOT_TRACED = new Set(["/healthz", "/readyz", "/metrics", "/health", "/ping"]);

/**
 * Lets everything that a handler calls know its request, and traces requests: one span each, from the headers to the
 * end of the answer. A caller's own trace goes on.
 */
export function followRequests(app: FastifyInstance, tracing: Tracing): void {
  const spans = new WeakMap<FastifyRequest, TraceSpan>();
  app.addHook("onRequest", async (request) => {
    const route = request.routeOptions.url;
    if (!tracing.enabled || route === undefined || NOT_TRACED.has(route)) return;
    const { traceparent } = request.headers;
    spans.set(
      request,
      tracing.start(`${request.method} ${route}`, {
        kind: "server",
        parent: typeof traceparent === "string" ? traceparent : undefined,
        attributes: { "http.request.method": request.method, "http.route": route, "kiln.request_id": request.id },
      }),
    );
  });
  // After the body: what listens for its bytes does not know the request.
  app.addHook("preHandler", (request, _reply, done) => {
    const traceparent = spans.get(request)?.traceparent;
    requestScope.run({ request_id: request.id, ...(traceparent === undefined ? {} : { traceparent }) }, done);
  });
  app.addHook("onResponse", async (request, reply) => {
    const span = spans.get(request);
    span?.set({ "http.response.status_code": reply.statusCode });
    span?.end(reply.statusCode >= 500 ? new Error(`answered ${reply.statusCode}`) : undefined);
  });
}
