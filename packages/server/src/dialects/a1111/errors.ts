import type { FastifyReply, FastifyRequest } from "fastify";
import { asServiceError } from "../../http/problem.ts";
import { sendDetail } from "../field-errors.ts";

/** The contract's names for fields of the native request. */
const FIELDS: Readonly<Record<string, string>> = {
  guidance_scale: "cfg_scale",
  scheduler: "sampler_name",
  a1111: "sampler_name",
  n: "batch_size",
  strength: "denoising_strength",
  image: "init_images",
  controls: "alwayson_scripts",
  loras: "prompt",
  refiner: "refiner_checkpoint",
  hires: "enable_hr",
  model: "override_settings",
  clip_skip: "override_settings",
};

/** A refusal whose text and status clients compare, as FastAPI's HTTPException says it. */
export class A1111Error extends Error {
  override readonly name = "A1111Error";
  readonly status: number;

  constructor(status: number, detail: string) {
    super(detail);
    this.status = status;
  }
}

/**
 * A1111's clients know HTTP Basic, and browsers ask for the password when they are told so.
 * @param fields the contract's names for fields that an error may name
 */
export function sendA1111Error(error: unknown, request: FastifyRequest, reply: FastifyReply, fields = FIELDS): FastifyReply {
  if (error instanceof A1111Error) return reply.code(error.status).send({ detail: error.message });
  const { code, status, message } = asServiceError(error);
  if (code !== "unauthorized") return sendDetail(error, request, reply, fields);
  return reply.code(status).header("www-authenticate", 'Basic realm="kiln"').send({ detail: message });
}
