import type { FastifyReply, FastifyRequest } from "fastify";
import type { Caller } from "../../auth/caller.ts";
import type { Dialect, ServerContext } from "../../http/dialect.ts";
import { asServiceError } from "../../http/problem.ts";
import { generate } from "../depth/generate.ts";
import { DEPTH_FIELDS, type DepthRequest, depthRequestSchema } from "../depth/request.ts";
import { FieldErrors, parseFields, sendDetail } from "../field-errors.ts";
import { makeReady } from "./benchmark.ts";
import { AutoscalerKey, NO_ENVELOPE, openEnvelope, SignatureCheck } from "./envelope.ts";
import { LoadMeter, sendReport } from "./load-report.ts";

const REPORT_EVERY_MILLISECONDS = 10_000;

/** Whoever comes with the autoscaler's signature; jobs of all of them are one owner's. */
const AUTOSCALED: Caller = {
  owner: "vast",
  role: "user",
  ratePerMinute: undefined,
  quotaPicturesPerDay: undefined,
  contentCeiling: undefined,
};

/**
 * Vast.ai's serverless worker over the depth contract, on WORKER_PORT: requests come in signed envelopes, and the
 * autoscaler hears of readiness and load. The signature stands in for a key.
 */
export const vast: Dialect = {
  name: "vast",
  register(app, context) {
    const { settings, log } = context;
    const addresses = (settings.REPORT_ADDR ?? "").split(",").flatMap((part) => part.trim().replace(/\/+$/, "") || []);
    const key = new AutoscalerKey(addresses);
    const check = new SignatureCheck(async () => await key.get());
    const meter = new LoadMeter(settings.CONTAINER_ID ?? "0", ownUrl(context));
    app.setErrorHandler((error, request, reply) =>
      asServiceError(error).code === "malformed"
        ? reply.code(422).send(NO_ENVELOPE)
        : sendDetail(error, request, reply, DEPTH_FIELDS),
    );

    app.get("/ping", { config: { public: true } }, async (_request, reply) => reply.type("text/plain").send("pong"));
    app.post("/generate", { config: { public: true } }, async (request, reply) => {
      const opened = openEnvelope(request.body, readPayload);
      if ("errors" in opened) return reply.code(422).send(opened.errors);
      if (!settings.UNSECURED && !(await check.accepts(opened.auth))) {
        return reply.code(401).send({ detail: "The signature is not the autoscaler's, or the request came before." });
      }
      return await drawPayload(opened.payload, meter, request, reply, context);
    });

    const stop = new AbortController();
    void makeReady(context, meter, AUTOSCALED, stop.signal);
    const report = async () => {
      if (!(await sendReport(meter.take(), addresses))) log.debug("no address of REPORT_ADDR took the load report");
    };
    const timer = addresses.length === 0 ? undefined : setInterval(() => void report(), REPORT_EVERY_MILLISECONDS);
    app.addHook("onClose", async () => {
      clearInterval(timer);
      stop.abort();
    });
  },
};

async function drawPayload(
  payload: DepthRequest,
  meter: LoadMeter,
  request: FastifyRequest,
  reply: FastifyReply,
  context: ServerContext,
): Promise<unknown> {
  request.caller = AUTOSCALED;
  const work = meter.begin();
  let drawn = false;
  try {
    const answer = await generate(payload, request, reply, context, work.accepted);
    drawn = answer.success;
    return answer;
  } finally {
    work.end(drawn);
  }
}

function readPayload(payload: unknown): { payload: DepthRequest } | { faults: Record<string, string> } {
  try {
    return { payload: parseFields(depthRequestSchema, payload, "body") };
  } catch (error) {
    if (!(error instanceof FieldErrors)) throw error;
    return { faults: Object.fromEntries(error.detail.map(({ loc, msg }) => [loc.slice(1).join(".") || "payload", msg])) };
  }
}

/** Where the autoscaler's clients reach this worker. Vast.ai tells containers in variables of its own. */
function ownUrl({ settings }: ServerContext): string {
  const configured = settings.KILN_PUBLIC_URL ?? settings.MODEL_SERVER_URL;
  const { PUBLIC_IPADDR } = process.env;
  const port = process.env[`VAST_TCP_PORT_${settings.WORKER_PORT}`] ?? settings.WORKER_PORT;
  return configured ?? (PUBLIC_IPADDR === undefined ? "" : `http://${PUBLIC_IPADDR}:${port}`);
}
