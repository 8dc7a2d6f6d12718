import type { FastifyReply, FastifyRequest } from "fastify";
import { ServiceError } from "../errors.ts";
import type { ImageRow } from "../records/job-store.ts";
import type { ServerContext } from "./dialect.ts";

/** Pictures never change, so whoever has one need not ask again. `private`: they belong to the key's owner. */
const CACHE = "private, max-age=31536000, immutable";

/** Answers with a picture's bytes, or 304 to whoever has them. */
export async function sendImage(
  request: FastifyRequest,
  reply: FastifyReply,
  context: ServerContext,
  image: ImageRow,
  thumbnail: boolean,
): Promise<FastifyReply> {
  const etag = `"${image.id}${thumbnail ? "-t" : ""}"`;
  reply.header("etag", etag).header("cache-control", CACHE).header("x-content-type-options", "nosniff");
  if (request.headers["if-none-match"] === etag) return reply.code(304).send();
  const bytes = await context.jobs.bytesOf(image, thumbnail);
  if (!bytes) throw new ServiceError("not_found", `The picture ${image.id} is not in the storage any more.`);
  return reply.type(thumbnail ? "image/jpeg" : `image/${image.format}`).send(bytes);
}
