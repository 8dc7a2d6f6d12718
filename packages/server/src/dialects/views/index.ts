import { messageOf } from "../../errors.ts";
import type { Dialect } from "../../http/dialect.ts";
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
    viewJobs
      .resume()
      .catch((error: unknown) => context.log.warn({ reason: messageOf(error) }, "jobs of an earlier start are not looked after"));
  },
};
