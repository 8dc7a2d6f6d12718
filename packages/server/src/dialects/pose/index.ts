import type { FastifyReply, FastifyRequest } from "fastify";
import { ServiceError } from "../../errors.ts";
import type { Dialect, ServerContext } from "../../http/dialect.ts";
import { waitForPictures } from "../draw-now.ts";
import { FieldErrors, parseFields, sendDetail } from "../field-errors.ts";
import { acceptUrlEncoded, readForm } from "../read-form.ts";
import { Readiness } from "../readiness.ts";
import { drawBatch } from "./batch.ts";
import { PosePictures } from "./pose-pictures.ts";
import { batchQuerySchema, batchSchema, POSE_FIELDS, poseRequestSchema, toNative } from "./request.ts";

/** Clients and proxies take some 8 KB of headers; a prompt may be longer than that. */
const MAX_PROMPT_HEADER = 4096;

/** The pose service's contract: one call with a prompt and a pose, and the picture is its body. */
export const pose: Dialect = {
  name: "pose",
  register(app, context) {
    const readiness = new Readiness(context);
    const poses = new PosePictures(context);
    acceptUrlEncoded(app);
    app.setErrorHandler((error, request, reply) => sendDetail(error, request, reply, POSE_FIELDS));
    app.get("/", { config: { public: true } }, async () => ({
      message: "Kiln draws pictures from prompts and poses.",
      status: "running",
    }));
    app.get("/health", { config: { public: true } }, async () => ({
      status: "healthy",
      model_loaded: await readiness.isReady(),
    }));
    app.post("/generate", async (request, reply) => await generate(request, reply, poses, context));
    app.post("/generate/batch", async (request, reply) => {
      const { max_batch_size } = parseFields(batchQuerySchema, request.query, "query");
      return await drawBatch(parseFields(batchSchema, request.body, "body"), max_batch_size, request, reply, context);
    });
  },
};

async function generate(
  request: FastifyRequest,
  reply: FastifyReply,
  poses: PosePictures,
  context: ServerContext,
): Promise<FastifyReply> {
  const { jobs, catalogue } = context;
  const { fields, files } = await readForm(request, ["pose"]);
  const query: unknown = request.query;
  const body = parseFields(poseRequestSchema, { ...(typeof query === "object" ? query : {}), ...fields }, "body");
  if (fields.pose !== undefined && fields.pose !== null)
    throw new FieldErrors([{ loc: ["body", "pose"], msg: "Expected a file", type: "value_error" }]);
  const model = catalogue.default();
  const size = { width: body.width ?? model.defaults.width, height: body.height ?? model.defaults.height };
  const file = files.get("pose");
  const control = file && (await poses.control(file.bytes, size, model, request.caller));
  const job = await jobs.submit(toNative(body, control, model, context), request.caller, { dialect: "pose" });
  const [done] = await waitForPictures([job.id], context, request, reply);
  const image = done?.images[0];
  const bytes = image && (await jobs.bytesOf(image));
  if (!done || !bytes) throw new ServiceError("internal", "The picture is not in the storage any more.");
  return reply
    .header("x-generation-time", (done.row.timings?.total_seconds ?? 0).toFixed(2))
    .header("x-prompt", promptHeader(body.prompt))
    .type("image/png")
    .send(bytes);
}

/** A prompt as a header can hold it: as it is in printable Latin-1, else percent-encoded; cut where it is long. */
export function promptHeader(prompt: string): string {
  if (/^[\x21-\x7e\xa1-\xff](?:[\x20-\x7e\xa0-\xff]*[\x21-\x7e\xa1-\xff])?$/.test(prompt))
    return prompt.slice(0, MAX_PROMPT_HEADER).trim();
  let header = "";
  for (const character of prompt) {
    const encoded = encodeURIComponent(character);
    if (header.length + encoded.length > MAX_PROMPT_HEADER) break;
    header += encoded;
  }
  return header;
}
