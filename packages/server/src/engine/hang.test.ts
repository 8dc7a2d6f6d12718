import { expect, test } from "vitest";
import { LOCAL_CALLER } from "../auth/caller.ts";
import type { JobView } from "../jobs/job-view.ts";
import { startTestServer } from "../testing/start-test-server.ts";

/** Milliseconds. An engine starts three times in it, and is found to hang twice: minutes on busy machines. */
const PATIENCE = 300_000;

test(
  "an engine that hangs is replaced",
  async () => {
    const hanging = await startTestServer({ KILN_ENGINE_HANG_SECONDS: "5" });
    const { id } = (await hanging.call("POST", "/v1/jobs", { prompt: "[hang]" })).json as JobView;
    const good = (await hanging.call("POST", "/v1/jobs", { prompt: "fine", steps: 2 })).json as JobView;
    const { row } = await hanging.context.jobs.wait(good.id, LOCAL_CALLER);
    expect(row.status).toBe("completed");
    await hanging.call("POST", `/v1/jobs/${id}/cancel`);
    await hanging.close();
  },
  PATIENCE,
);
