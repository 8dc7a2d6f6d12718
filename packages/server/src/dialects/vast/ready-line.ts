import { appendFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../errors.ts";
import type { ServerContext } from "../../http/dialect.ts";

const WAIT_MILLISECONDS = 500;
/** The line of MODEL_LOG that tells a PyWorker in front of the depth listener that it may begin. */
export const READY_LINE = "Kiln model server ready";

/** Waits until a job would be drawn. Raises the signal's reason. */
export async function untilReady(context: ServerContext, signal: AbortSignal): Promise<void> {
  for (;;) {
    const ready = await context.checkReady().then(
      () => true,
      () => false,
    );
    if (ready) return;
    await sleep(WAIT_MILLISECONDS, undefined, { signal });
  }
}

/** Appends the line to MODEL_LOG, where that is set, once the service is ready. Never raises: a log is no reason to stop. */
export async function writeReadyLine(context: ServerContext, signal: AbortSignal): Promise<void> {
  const { MODEL_LOG } = context.settings;
  if (MODEL_LOG === undefined) return;
  try {
    await untilReady(context, signal);
    await appendFile(MODEL_LOG, `${READY_LINE}\n`);
  } catch (error) {
    if (!signal.aborted) context.log.warn({ reason: messageOf(error) }, "MODEL_LOG cannot be written");
  }
}
