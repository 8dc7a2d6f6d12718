import type { FastifyInstance } from "fastify";
import { messageOf } from "../../errors.ts";
import type { Dialect, ServerContext } from "../../http/dialect.ts";
import { sendProblem } from "../../http/problem.ts";
import { registerRoutes } from "../../http/route.ts";
import { acceptUrlEncoded } from "../read-form.ts";
import { Accounts } from "./accounts.ts";
import { registerAuthRoutes } from "./auth-routes.ts";
import { sendViewsError } from "./errors.ts";
import { registerJobRoutes } from "./job-routes.ts";
import { registerMedia } from "./media.ts";
import { registerSocket } from "./socket.ts";
import { taskRoutes } from "./task-routes.ts";
import { ViewJobs } from "./view-jobs.ts";

const EXPIRE_MILLISECONDS = 600_000;
const DAY_MILLISECONDS = 86_400_000;

/** The views service's contract: users, their photos, and two pictures of each. */
export const views: Dialect = {
  name: "views",
  async register(app, context) {
    const accounts = new Accounts(context.documents, context.loginAttempts);
    const viewJobs = new ViewJobs(context);
    acceptUrlEncoded(app);
    app.setErrorHandler(sendViewsError);
    registerAuthRoutes(app, accounts, context);
    registerJobRoutes(app, { viewJobs, accounts, context });
    registerMedia(app, viewJobs, context);
    registerSocket(app, viewJobs, accounts, context);
    await app.register(async (scope) => {
      scope.setErrorHandler(sendProblem);
      registerRoutes(scope, taskRoutes(viewJobs), context);
    });
    app.addHook("onClose", async () => viewJobs.close());
    expireNowAndThen(app, viewJobs, context);
    viewJobs
      .resume()
      .catch((error: unknown) => context.log.warn({ reason: messageOf(error) }, "jobs of an earlier start are not looked after"));
  },
};

/** Photos are people's: they go with the pictures that were made of them, after the time that the operator has set. */
function expireNowAndThen(app: FastifyInstance, viewJobs: ViewJobs, { settings, log }: ServerContext): void {
  const days = settings.KILN_RETENTION_DAYS;
  if (days === 0) return;
  const expire = () =>
    viewJobs
      .expire(new Date(Date.now() - days * DAY_MILLISECONDS))
      .catch((error: unknown) => log.warn({ reason: messageOf(error) }, "old jobs of the views service are not removed"));
  const timer = setInterval(expire, EXPIRE_MILLISECONDS);
  timer.unref();
  app.addHook("onClose", async () => clearInterval(timer));
}
