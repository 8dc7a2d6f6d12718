import { z } from "zod";
import type { Dialect } from "../../http/dialect.ts";
import { parseFields, sendDetail } from "../field-errors.ts";
import { controlModel, listModels } from "./control.ts";
import { generate } from "./generate.ts";
import { Health } from "./health.ts";
import { DEPTH_FIELDS, depthRequestSchema } from "./request.ts";

const name = z.string().min(1).max(200);
const preloadQuery = z.object({ model_name: name });
const unloadQuery = z.object({ model_key: name });

/** The depth service's contract: one call, one picture in base64, steered by a depth map and themes. */
export const depth: Dialect = {
  name: "depth",
  register(app, context) {
    const health = new Health(context);
    app.setErrorHandler((error, request, reply) => sendDetail(error, request, reply, DEPTH_FIELDS));

    app.post("/generate", async (request, reply) => {
      return await generate(parseFields(depthRequestSchema, request.body, "body"), request, reply, context);
    });

    app.get("/ping", { config: { public: true } }, async (_request, reply) => reply.type("text/plain").send("pong"));
    for (const path of ["/healthcheck", "/checkhealth"])
      app.get(path, { config: { public: true } }, async () => await health.view());

    app.get("/models", async () => listModels(context));
    app.post("/preload", async (request) => {
      const { model_name } = parseFields(preloadQuery, request.query, "query");
      return await controlModel("load", model_name, request.caller, context);
    });
    app.post("/unload", async (request) => {
      const { model_key } = parseFields(unloadQuery, request.query, "query");
      return await controlModel("unload", model_key, request.caller, context);
    });
  },
};
