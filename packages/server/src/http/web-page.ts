import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fastifyStatic from "@fastify/static";
import type { FastifyInstance } from "fastify";

const PAGE = fileURLToPath(new URL("../../../web/dist", import.meta.url));

/**
 * The web page, where it has been built. Browsers, which ask for HTML, get it at `/` on every listener; other
 * clients get the dialect's own answer there. The page's files need no key: it asks for one itself.
 */
export async function registerWebPage(app: FastifyInstance): Promise<void> {
  if (!existsSync(PAGE)) return;
  await app.register(async (scope) => {
    scope.addHook("onRoute", (route) => {
      route.config = { ...route.config, public: true };
    });
    await scope.register(fastifyStatic, { root: PAGE, wildcard: false, index: false });
  });
}

/** Whether a request is a browser's for the page. */
export function wantsPage(method: string, url: string, accept: string | undefined): boolean {
  return method === "GET" && /^\/(?:\?|$)/.test(url) && (accept ?? "").includes("text/html") && existsSync(PAGE);
}
