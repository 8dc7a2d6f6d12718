import type {} from "@fastify/multipart";
import { readPictureMetadata } from "@kiln/diffusion";
import { z } from "zod";
import { ServiceError } from "../../errors.ts";
import { requestOfInfotext } from "../../jobs/read-infotext.ts";
import { type Route, route } from "../route.ts";
import { sendImage } from "../send-image.ts";
import { idParams } from "./schemas.ts";

const PICTURE = { description: "The picture", contentType: "image/*" };

/** What a signed link carries; without it a key is needed. */
const linkQuery = z.object({ expires: z.string().max(20).optional(), signature: z.string().max(100).optional() });

export const imageRoutes: Route[] = [
  route({
    method: "GET",
    path: "/v1/images/{id}",
    summary: "A picture",
    tag: "images",
    params: idParams,
    query: linkQuery,
    signed: true,
    answers: { 200: PICTURE },
    handle: async ({ params, caller, context, request, reply }) =>
      await sendImage(request, reply, context, await context.jobs.image(params.id, caller), false),
  }),
  route({
    method: "GET",
    path: "/v1/images/{id}/thumbnail",
    summary: "A picture's thumbnail, inside 300 x 300",
    tag: "images",
    params: idParams,
    query: linkQuery,
    signed: true,
    answers: { 200: PICTURE },
    handle: async ({ params, caller, context, request, reply }) =>
      await sendImage(request, reply, context, await context.jobs.image(params.id, caller), true),
  }),
  route({
    method: "POST",
    path: "/v1/uploads",
    summary: "Store a picture to refer to in requests as upload:ID",
    tag: "images",
    bodyTypes: ["image/png", "image/jpeg", "image/webp", "multipart/form-data"],
    answers: {
      201: {
        description: "The upload; with the request that the picture's own parameters describe, where it carries any",
        schema: z.object({
          id: z.string(),
          width: z.int(),
          height: z.int(),
          url: z.string(),
          parameters: z.string().optional(),
          request: z.record(z.string(), z.unknown()).optional(),
        }),
      },
    },
    async handle({ caller, context, request, reply }) {
      const bytes = request.isMultipart() ? await (await request.file())?.toBuffer() : request.body;
      if (!(bytes instanceof Uint8Array))
        throw new ServiceError("malformed", "Send the picture as the body, or as the field `file` of a multipart form.", {
          field: "file",
        });
      const { id, width, height } = await context.pictures.store(bytes, caller, "file");
      const { parameters } = await readPictureMetadata(bytes);
      const described = parameters === undefined ? undefined : requestOfInfotext(parameters, context.catalogue);
      reply.code(201);
      return {
        id,
        width,
        height,
        url: `/v1/uploads/${id}`,
        ...(parameters === undefined ? {} : { parameters }),
        ...(described === undefined ? {} : { request: described }),
      };
    },
  }),
  route({
    method: "GET",
    path: "/v1/uploads/{id}",
    summary: "A stored upload",
    tag: "images",
    params: idParams,
    answers: { 200: PICTURE },
    async handle({ params, caller, context, reply }) {
      const { bytes, format } = await context.pictures.open(params.id, caller);
      return reply.type(`image/${format}`).header("x-content-type-options", "nosniff").send(bytes);
    },
  }),
];
