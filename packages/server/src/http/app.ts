import cors from "@fastify/cors";
import multipart from "@fastify/multipart";
import websocket from "@fastify/websocket";
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest, LogController } from "fastify";
import { ANONYMOUS_CALLER, type Caller, LINK_CALLER } from "../auth/caller.ts";
import { admit, isStillAdmitted, refuseOtherNames } from "../auth/guard.ts";
import { COMMON_DIALECTS, ROOT_DIALECTS } from "../dialects/index.ts";
import { ServiceError } from "../errors.ts";
import { newId } from "../jobs/ids.ts";
import { MAX_BODY_BYTES, MAX_UPLOAD_BYTES } from "../jobs/limits.ts";
import { isLoopback, type Listener } from "../settings/listen.ts";
import { followRequests } from "../tracing/http-spans.ts";
import { boundBodies } from "./body-budget.ts";
import type { ServerContext } from "./dialect.ts";
import { beyondLimits } from "./json-shape.ts";
import { nativeDialect } from "./native/index.ts";
import { wantsPage } from "./page-files.ts";
import { sendProblem } from "./problem.ts";
import { refuseAddress, refuseBroken } from "./refuse-broken.ts";
import { refuseOtherMethods } from "./refuse-methods.ts";
import { registerWebPage, sendPage } from "./web-page.ts";

/** Parts of a multipart form; the largest contract sends some ten fields and one file. */
const MAX_FORM_PARTS = 64;
const MAX_FORM_FIELD_BYTES = 1024 * 1024;
/** One connection's WebSocket message; clients have little to say on it. */
const MAX_SOCKET_MESSAGE_BYTES = 16 * 1024;
/** A request id of the caller's is taken over when it is harmless in a log. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,100}$/;

/** The application of one listener: its dialect at the root, and what every listener has. A FrontDoor brings it its requests. */
export async function makeApp(listener: Listener, context: ServerContext): Promise<FastifyInstance> {
  const { settings } = context;
  const logger: FastifyBaseLogger = context.log.child({ listener: `${listener.port}=${listener.dialect}` });
  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: MAX_BODY_BYTES,
    trustProxy: settings.KILN_TRUST_PROXY,
    genReqId: (request) => {
      const given = request.headers["x-request-id"];
      return typeof given === "string" && REQUEST_ID.test(given) ? given : newId("req");
    },
    routerOptions: { maxParamLength: 500, ignoreTrailingSlash: false },
    clientErrorHandler: refuseBroken,
    frameworkErrors: refuseAddress,
  });
  await app.register(cors, {
    origin: settings.KILN_CORS_ORIGINS,
    credentials: true,
    methods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    exposedHeaders: ["location", "retry-after", "x-request-id", "x-generation-time", "x-prompt"],
  });
  await app.register(multipart, {
    limits: { fileSize: MAX_UPLOAD_BYTES, files: 8, parts: MAX_FORM_PARTS, fieldSize: MAX_FORM_FIELD_BYTES },
  });
  await app.register(websocket, { options: { maxPayload: MAX_SOCKET_MESSAGE_BYTES } });
  acceptBodies(app);
  await registerWebPage(app);
  addHooks(app, listener, context);
  boundBodies(app, context);
  followRequests(app, context.tracing);
  app.setErrorHandler(sendProblem);
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      new ServiceError("not_found", `There is nothing at ${request.method} ${request.url.split("?")[0]}.`),
      request,
      reply,
    ),
  );
  const dialects = [
    nativeDialect,
    ...COMMON_DIALECTS,
    ...Object.values(ROOT_DIALECTS).filter(({ name }) => name === listener.dialect),
  ];
  const refusals: (() => void)[] = [];
  for (const dialect of dialects) {
    await app.register(async (scope) => {
      refusals.push(refuseOtherMethods(scope));
      await dialect.register(scope, context);
    });
  }
  for (const refuse of refusals) refuse();
  return app;
}

function acceptBodies(app: FastifyInstance): void {
  for (const type of ["image/png", "image/jpeg", "image/webp", "application/octet-stream"]) {
    app.addContentTypeParser(type, { parseAs: "buffer", bodyLimit: MAX_UPLOAD_BYTES }, (_request, body, done) =>
      done(null, body),
    );
  }
  // An empty body with a JSON content type is how many clients send a POST without one.
  app.removeContentTypeParser(["application/json", "text/plain"]);
  app.addContentTypeParser("application/json", { parseAs: "string" }, (request, body, done) => {
    if (body === "") return done(null, undefined);
    const text = String(body);
    const fault = beyondLimits(text);
    if (fault !== undefined) return done(new ServiceError("malformed", `The JSON ${fault}.`));
    app.getDefaultJsonParser("error", "ignore")(request, text, done);
  });
}

/** Whoever has a signed link to what it asks for. Others need a key, where one is needed. */
function callerOfLink(request: FastifyRequest, { links }: ServerContext): Caller | undefined {
  return request.routeOptions.config.signed === true && links.holds(request.url) ? LINK_CALLER : undefined;
}

function addHooks(app: FastifyInstance, listener: Listener, context: ServerContext): void {
  const { settings } = context;
  const guard = {
    keys: context.keys,
    loopback: isLoopback(listener.host),
    hosts: settings.KILN_HOSTS,
    origins: settings.KILN_CORS_ORIGINS,
  };
  app.decorateRequest("caller");
  app.decorateRequest("isStillAdmitted", async function () {
    return await isStillAdmitted(this, guard);
  });
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id).header("x-content-type-options", "nosniff");
    if (/%00/.test(request.url)) throw new ServiceError("malformed", "The address holds a NUL character.");
    request.caller = ANONYMOUS_CALLER;
    if (wantsPage(request.method, request.url, request.headers.accept)) return await sendPage(reply, () => admit(request, guard));
    if (request.method === "OPTIONS") return;
    if (request.routeOptions.config.public === true || request.is404) await refuseOtherNames(request, guard);
    else request.caller = callerOfLink(request, context) ?? (await admit(request, guard));
  });
  app.addHook("onResponse", async (request, reply) => {
    const seconds = reply.elapsedTime / 1000;
    const labels = { method: request.method, route: request.routeOptions.url ?? "none", status: String(reply.statusCode) };
    context.metrics.httpSeconds.observe(labels, seconds);
    request.log.debug({ ...labels, seconds }, "answered");
  });
}
