import { existsSync } from "node:fs";
import fastifyStatic from "@fastify/static";
import type { FastifyInstance, FastifyReply } from "fastify";
import { ServiceError } from "../errors.ts";
import { cacheControlOf, PAGE_FOLDER, PAGE_HEADERS, readPage } from "./page-files.ts";

/**
 * The web page's files, where it has been built. Browsers, which ask for HTML, get the page itself at `/` on every
 * listener; other clients get the dialect's own answer there. The files hold nothing secret and need no key.
 */
export async function registerWebPage(app: FastifyInstance): Promise<void> {
  if (!existsSync(PAGE_FOLDER)) return;
  await app.register(async (scope) => {
    scope.addHook("onRoute", (route) => {
      route.config = { ...route.config, public: true };
    });
    await scope.register(fastifyStatic, {
      root: PAGE_FOLDER,
      wildcard: false,
      index: false,
      cacheControl: false,
      setHeaders(answer, path) {
        answer.setHeader("cache-control", cacheControlOf(path));
        answer.setHeader("x-content-type-options", "nosniff");
      },
    });
  });
}

/**
 * Sends the page to who may use it. Where a key is needed the browser asks for one itself (Basic, the key as the
 * password) and from then on sends it with everything, pictures and event streams too, which a page cannot do.
 * `admit` raises what stands against the caller.
 */
export async function sendPage(reply: FastifyReply, admit: () => Promise<unknown>): Promise<FastifyReply> {
  try {
    await admit();
  } catch (error) {
    if (!(error instanceof ServiceError) || error.code !== "unauthorized") throw error;
    return reply
      .code(401)
      .header("www-authenticate", 'Basic realm="Kiln: the key is the password", charset="UTF-8"')
      .type("text/plain")
      .send("This service asks for a key. Reload the page and give the key as the password; the name may be anything.");
  }
  return reply.headers(PAGE_HEADERS).send(readPage());
}
