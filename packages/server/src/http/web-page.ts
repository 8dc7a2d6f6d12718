import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fastifyStatic from "@fastify/static";
import type { FastifyInstance, FastifyReply } from "fastify";
import { ServiceError } from "../errors.ts";

const PAGE = fileURLToPath(new URL("../../../web/dist", import.meta.url));

/** The page loads itself and pictures, and runs nothing that is not a file of its own. Previews are data:. */
const CONTENT_POLICY =
  "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/** The files below /assets/ have their content's hash in their names. */
const HASHED_FILE_SECONDS = 31_536_000;

/**
 * The web page's files, where it has been built. Browsers, which ask for HTML, get the page itself at `/` on every
 * listener; other clients get the dialect's own answer there. The files hold nothing secret and need no key.
 */
export async function registerWebPage(app: FastifyInstance): Promise<void> {
  if (!existsSync(PAGE)) return;
  await app.register(async (scope) => {
    scope.addHook("onRoute", (route) => {
      route.config = { ...route.config, public: true };
    });
    await scope.register(fastifyStatic, {
      root: PAGE,
      wildcard: false,
      index: false,
      cacheControl: false,
      setHeaders(answer, path) {
        const hashed = path.includes("/assets/");
        answer.setHeader("cache-control", hashed ? `public, max-age=${HASHED_FILE_SECONDS}, immutable` : "no-cache");
        answer.setHeader("x-content-type-options", "nosniff");
      },
    });
  });
}

/** Whether a request is a browser's for the page. */
export function wantsPage(method: string, url: string, accept: string | undefined): boolean {
  return method === "GET" && /^\/(?:\?|$)/.test(url) && (accept ?? "").includes("text/html") && existsSync(PAGE);
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
  return reply
    .header("content-security-policy", CONTENT_POLICY)
    .header("x-content-type-options", "nosniff")
    .header("referrer-policy", "no-referrer")
    .header("cache-control", "no-cache")
    .type("text/html; charset=utf-8")
    .send(readFileSync(`${PAGE}/index.html`));
}
