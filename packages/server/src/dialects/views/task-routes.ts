import { z } from "zod";
import { ServiceError } from "../../errors.ts";
import { type Route, route } from "../../http/route.ts";
import { STATUSES } from "./view-job.ts";
import type { ViewJobs } from "./view-jobs.ts";

/** Jobs of one call: some ten pages of the contract's lists. */
const MAX_TOGETHER = 100;

const processed = z.object({ jobs: z.array(z.object({ id: z.int(), status: z.enum(STATUSES) })) });

/** The service's tasks "process a job" and "process many together", as a native call for admins: any user's jobs. */
export function taskRoutes(viewJobs: ViewJobs): Route[] {
  return [
    route({
      method: "POST",
      path: "/v1/views/process",
      summary: "Draw anew those of these jobs that have ended",
      tag: "views",
      admin: true,
      body: z.object({ jobs: z.array(z.int().min(1)).min(1).max(MAX_TOGETHER) }),
      answers: { 202: { description: "The jobs, as they stand now", schema: processed } },
      async handle({ body, reply }) {
        const ids = [...new Set(body.jobs)];
        // All or none: whoever mistypes one sends the same list again.
        for (const id of ids) if (!(await viewJobs.find(id))) throw new ServiceError("not_found", `There is no job ${id}.`);
        const jobs: z.output<typeof processed>["jobs"] = [];
        for (const id of ids) jobs.push({ id, status: (await viewJobs.process(id)).data.status });
        reply.code(202);
        return { jobs };
      },
    }),
  ];
}
