import type { FastifyInstance } from "fastify";
import type { Dialect, ServerContext } from "../dialect.ts";
import { openapiOf } from "../openapi.ts";
import { sendProblem } from "../problem.ts";
import { type Route, registerRoutes } from "../route.ts";
import { docsPage } from "./docs-page.ts";
import { eventRoutes, registerEventSocket } from "./events.ts";
import { gpuRoutes } from "./gpu.ts";
import { imageRoutes } from "./images.ts";
import { jobRoutes } from "./jobs.ts";
import { modelRoutes } from "./models.ts";
import { pullRoutes } from "./pulls.ts";
import { systemRoutes } from "./system.ts";

export const NATIVE_ROUTES: readonly Route[] = [
  ...jobRoutes,
  ...eventRoutes,
  ...imageRoutes,
  ...modelRoutes,
  ...pullRoutes,
  ...systemRoutes,
  ...gpuRoutes,
];

/** The native API: served on every listener. */
export const nativeDialect: Dialect = {
  name: "native",
  register(app: FastifyInstance, context: ServerContext) {
    app.setErrorHandler(sendProblem);
    registerRoutes(app, NATIVE_ROUTES, context);
    registerEventSocket(app, context);
    const document = openapiOf(NATIVE_ROUTES, context.version);
    app.get("/openapi.json", { config: { public: true } }, async () => document);
    app.get("/docs", { config: { public: true } }, async (_request, reply) =>
      reply.type("text/html; charset=utf-8").send(docsPage(document)),
    );
  },
};
