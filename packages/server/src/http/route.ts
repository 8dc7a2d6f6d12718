import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from "fastify";
import { z } from "zod";
import type { Caller } from "../auth/caller.ts";
import { ServiceError } from "../errors.ts";
import { parseOrRefuse } from "../jobs/parse.ts";
import type { ServerContext } from "./dialect.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Who calls; set before any handler runs. */
    caller: Caller;
    /** Whether the caller still would be let in: for what stays open. */
    isStillAdmitted(): Promise<boolean>;
  }
  interface FastifyContextConfig {
    /** Answered without a key. */
    public?: boolean;
    /** Also answered to whoever has a signed link to it. */
    signed?: boolean;
    /** Callers that this route's face knows besides those with keys, by what they sent as their credential. */
    identify?: (credential: string) => Promise<Caller | undefined>;
  }
}

export interface Answer {
  description: string;
  schema?: z.ZodType;
  contentType?: string;
}

export interface RouteInput<Params, Query, Body> {
  params: Params;
  query: Query;
  body: Body;
  caller: Caller;
  context: ServerContext;
  request: FastifyRequest;
  reply: FastifyReply;
}

export interface RouteSpec<Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType> {
  method: HTTPMethods;
  /** In OpenAPI's form: `/v1/jobs/{id}`. */
  path: string;
  summary: string;
  tag: string;
  params?: Params;
  /** Headers that the route reads, each with what it is for; they may be left out. */
  headers?: Readonly<Record<string, string>>;
  query?: Query;
  body?: Body;
  /** Content types of the body besides JSON, said in the document. */
  bodyTypes?: string[];
  answers: Record<number, Answer>;
  public?: boolean;
  /** Also answered to whoever has a signed link to it. */
  signed?: boolean;
  /** Only for callers with the admin role. */
  admin?: boolean;
  handle(input: RouteInput<z.output<Params>, z.output<Query>, z.output<Body>>): Promise<unknown>;
}

/** A route whose types have been checked: what registration and the OpenAPI document need of it. */
export interface Route {
  method: HTTPMethods;
  path: string;
  summary: string;
  tag: string;
  params: z.ZodType | undefined;
  headers: Readonly<Record<string, string>>;
  query: z.ZodType | undefined;
  body: z.ZodType | undefined;
  bodyTypes: string[];
  answers: Record<number, Answer>;
  public: boolean;
  signed: boolean;
  admin: boolean;
  run(request: FastifyRequest, reply: FastifyReply, context: ServerContext): Promise<unknown>;
}

/** Describes a route once; validation, handler and the OpenAPI document come from the same schemas. */
export function route<
  Params extends z.ZodType = z.ZodUnknown,
  Query extends z.ZodType = z.ZodUnknown,
  Body extends z.ZodType = z.ZodUnknown,
>(spec: RouteSpec<Params, Query, Body>): Route {
  const schemaOr = <S extends z.ZodType>(schema: S | undefined) => schema ?? (z.unknown() as unknown as S);
  return {
    method: spec.method,
    path: spec.path,
    summary: spec.summary,
    tag: spec.tag,
    params: spec.params,
    headers: spec.headers ?? {},
    query: spec.query,
    body: spec.body,
    bodyTypes: spec.bodyTypes ?? [],
    answers: spec.answers,
    public: spec.public ?? false,
    signed: spec.signed ?? false,
    admin: spec.admin ?? false,
    async run(request, reply, context) {
      const { caller } = request;
      if (spec.admin && caller.role !== "admin") throw new ServiceError("forbidden", "This needs a key with the admin role.");
      const params = parseOrRefuse(schemaOr(spec.params), request.params);
      const query = parseOrRefuse(schemaOr(spec.query), request.query);
      const body = parseOrRefuse(schemaOr(spec.body), request.body);
      return await spec.handle({ params, query, body, caller, context, request, reply });
    },
  };
}

export function registerRoutes(app: FastifyInstance, routes: readonly Route[], context: ServerContext): void {
  for (const each of routes) {
    app.route({
      method: each.method,
      url: each.path.replace(/\{(\w+)\}/g, ":$1"),
      config: { public: each.public, signed: each.signed },
      handler: async (request, reply) => await each.run(request, reply, context),
    });
  }
}
