import { setTimeout as sleep } from "node:timers/promises";

/** Tries again what a server that is away for a while may have refused: some 60 s in all, with growing pauses. */
export async function withRetries<T>(work: () => Promise<T>, onRetry: (error: unknown, pause: number) => void): Promise<T> {
  const pauses = [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000, 10_000];
  for (const pause of pauses) {
    try {
      return await work();
    } catch (error) {
      onRetry(error, pause);
      await sleep(pause);
    }
  }
  return await work();
}
