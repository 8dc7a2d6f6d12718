import { setTimeout as sleep } from "node:timers/promises";
import type { JobView } from "../jobs/job-view.ts";

/** Sends small jobs until told to stop, and keeps the ids of those that were acknowledged. */
export async function submitMany(url: () => string, count: number, acknowledged: Set<string>): Promise<void> {
  for (let index = 0; index < count; index++) {
    const body = JSON.stringify({
      prompt: `job ${index}`,
      steps: 1 + (index % 5),
      width: 64,
      height: 64,
      priority: ["urgent", "high", "normal"][index % 3],
    });
    const response = await fetch(`${url()}/v1/jobs`, {
      method: "POST",
      body,
      headers: { "content-type": "application/json" },
    }).catch(() => undefined);
    if (response?.status === 202) acknowledged.add(((await response.json()) as JobView).id);
    else await sleep(50);
  }
}
