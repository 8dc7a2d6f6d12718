import { z } from "zod";
import { problemSchema } from "./problem.ts";
import type { Answer, Route } from "./route.ts";

/** The OpenAPI 3.1 document of the native API, from the routes' own schemas. */
export function openapiOf(routes: readonly Route[], version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const each of routes) {
    const path = paths[each.path] ?? {};
    path[String(each.method).toLowerCase()] = operationOf(each);
    paths[each.path] = path;
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Kiln",
      version,
      description:
        "Self-hosted Stable Diffusion XL: jobs, pictures, models. GET /v1/events is a WebSocket: it sends the events of all of the caller's jobs as JSON, {event, data}, and takes the key as ?token= too.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths,
    components: {
      schemas: { Problem: jsonSchema(problemSchema, "output") },
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer" },
        basic: { type: "http", scheme: "basic" },
        key: { type: "apiKey", in: "header", name: "X-API-Key" },
      },
    },
    security: [{ bearer: [] }, { basic: [] }, { key: [] }, {}],
  };
}

function operationOf(each: Route): Record<string, unknown> {
  const parameters = [
    ...parametersOf(each.params, "path"),
    ...parametersOf(each.query, "query"),
    ...Object.entries(each.headers).map(([name, description]) => ({
      name,
      in: "header",
      required: false,
      description,
      schema: { type: "string" },
    })),
  ];
  const content: Record<string, unknown> = {};
  if (each.body) content["application/json"] = { schema: jsonSchema(each.body, "input") };
  for (const type of each.bodyTypes)
    content[type] = { schema: type === "multipart/form-data" ? { type: "object" } : { type: "string", format: "binary" } };
  return {
    operationId: `${String(each.method).toLowerCase()}${each.path.replace(/[^A-Za-z0-9]+(\w)?/g, (_, letter: string | undefined) => letter?.toUpperCase() ?? "")}`,
    summary: each.summary,
    tags: [each.tag],
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(Object.keys(content).length > 0 ? { requestBody: { required: true, content } } : {}),
    responses: {
      ...Object.fromEntries(Object.entries(each.answers).map(([status, answer]) => [status, answerOf(answer)])),
      default: PROBLEM,
    },
    ...(each.public ? { security: [] } : {}),
  };
}

const PROBLEM = {
  description: "A problem (RFC 9457)",
  content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
};

function answerOf({ description, schema, contentType }: Answer): Record<string, unknown> {
  if (!schema && !contentType) return { description };
  return {
    description,
    content: { [contentType ?? "application/json"]: schema ? { schema: jsonSchema(schema, "output") } : {} },
  };
}

function parametersOf(schema: z.ZodType | undefined, place: "path" | "query"): Record<string, unknown>[] {
  if (!schema) return [];
  const object = jsonSchema(schema, "input");
  const required = Array.isArray(object.required) ? object.required : [];
  return Object.entries(object.properties ?? {}).map(([name, property]) => ({
    name,
    in: place,
    required: place === "path" || required.includes(name),
    schema: property,
  }));
}

function jsonSchema(schema: z.ZodType, io: "input" | "output"): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" }) as Record<string, unknown>;
  return rest;
}
