import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";

export interface StatusAnswer {
  job_id: string;
  status: string;
  image_url?: string;
  thumbnail_url?: string;
  generation_time?: number;
  error?: string;
}

/** The documented client: any code but 200 is a failure, and the status is asked for until the job has ended. */
export async function generate(url: string, body: object): Promise<string> {
  const response = await fetch(`${url}/generate`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
  const answer = (await response.json()) as { job_id: string; status: string };
  expect(Object.keys(answer).sort()).toEqual(["job_id", "status"]);
  expect(answer.status).toBe("queued");
  return answer.job_id;
}

/** The answer of a job's status once it has ended. */
export async function ended(url: string, id: string): Promise<StatusAnswer> {
  for (;;) {
    const response = await fetch(`${url}/status/${id}`);
    expect(response.status).toBe(200);
    const answer = (await response.json()) as StatusAnswer;
    if (answer.status === "completed" || answer.status === "failed") return answer;
    expect(["queued", "processing"]).toContain(answer.status);
    await sleep(30);
  }
}

export const FULL_REQUEST = {
  girl_id: "aurora-7",
  user_id: 42,
  prompt: "portrait in a garden",
  negative_prompt: "blurry",
  context: "they met at the market",
  affection_level: 70,
  nsfw_level: 20,
  num_inference_steps: 25,
  guidance_scale: 6.5,
  high_quality: false,
  priority: "urgent",
};
