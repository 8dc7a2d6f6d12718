import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Dialect, ServerContext } from "../../http/dialect.ts";
import { baseUrlOf } from "../../http/request-context.ts";
import { parseOrRefuse } from "../../jobs/parse.ts";
import type { GenerationRequestInput } from "../../jobs/request.ts";
import { waitForPictures } from "../draw-now.ts";
import { imagesResponse } from "./answer.ts";
import { sendOpenAiError } from "./errors.ts";
import { readForm, storePictures } from "./form.ts";
import { type CommonFields, editSchema, generationSchema, modelOf, toNative, variationSchema, wantsBase64 } from "./request.ts";
import { type StreamKind, streamPictures } from "./stream.ts";

/** OpenAI's Images API. The list of models is the native API's, which has the fields that its clients read. */
export const openai: Dialect = {
  name: "openai",
  register(app, context) {
    app.setErrorHandler(sendOpenAiError);
    for (const base of ["/v1/images", "/images"]) registerUnder(base, app, context);
  },
};

function registerUnder(base: string, app: FastifyInstance, context: ServerContext): void {
  app.post(`${base}/generations`, async (request, reply) => {
    const fields = parseOrRefuse(generationSchema, request.body);
    return await answer("image_generation", toNative(fields, context), fields, context, request, reply);
  });

  app.post(`${base}/edits`, async (request, reply) => {
    const form = await readForm(request);
    const fields = parseOrRefuse(editSchema, form.fields);
    modelOf(fields.model, context);
    const pictures = await storePictures(form, fields, request.caller, context, true);
    return await answer("image_edit", toNative(fields, context, pictures), fields, context, request, reply);
  });

  app.post(`${base}/variations`, async (request, reply) => {
    const form = await readForm(request);
    const fields = parseOrRefuse(variationSchema, form.fields);
    const pictures = await storePictures(form, fields, request.caller, context, false);
    return await answer("image_edit", toNative(fields, context, pictures), fields, context, request, reply);
  });
}

async function answer(
  kind: StreamKind,
  requests: readonly GenerationRequestInput[],
  fields: CommonFields,
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const jobs = await context.jobs.submitAll(requests, request.caller, { dialect: "openai" });
  if (fields.stream === true) return await streamPictures(kind, jobs, fields, context, request, reply);
  const ids = jobs.map(({ id }) => id);
  const done = await waitForPictures(ids, context, request, reply);
  return await imagesResponse(done, fields, wantsBase64(fields), context, baseUrlOf(request, context));
}
