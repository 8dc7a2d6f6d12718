import type { ServerContext } from "../../http/dialect.ts";

/** Ended tasks whose names are known to be ended, as many as A1111 keeps. */
const KEPT_TASKS = 16;

/** A call that waits for its pictures. */
export interface ActiveCall {
  owner: string;
  task: string;
  jobs: readonly string[];
  ended: Set<string>;
  startedAt: Date;
  interrupted: boolean;
  skipped: boolean;
  /** A data URL of the latest preview. */
  preview: string | undefined;
  previews: number;
}

/** The calls of each caller that are being answered, oldest first: what progress shows and interrupt ends. */
export class ActiveCalls {
  readonly #calls = new Set<ActiveCall>();
  readonly #finished = new Map<string, string[]>();

  constructor({ bus }: ServerContext) {
    bus.subscribe((event) => {
      if (event.type !== "preview") return;
      for (const call of this.#calls) {
        if (!call.jobs.includes(event.job)) continue;
        call.preview = event.image;
        call.previews++;
      }
    });
  }

  begin(owner: string, task: string, jobs: readonly string[]): ActiveCall {
    const call: ActiveCall = {
      owner,
      task,
      jobs,
      ended: new Set(),
      startedAt: new Date(),
      interrupted: false,
      skipped: false,
      preview: undefined,
      previews: 0,
    };
    this.#calls.add(call);
    return call;
  }

  end(call: ActiveCall): void {
    this.#calls.delete(call);
    const finished = [...(this.#finished.get(call.owner) ?? []), call.task];
    this.#finished.set(call.owner, finished.slice(-KEPT_TASKS));
  }

  of(owner: string): ActiveCall[] {
    return [...this.#calls].filter((call) => call.owner === owner);
  }

  hasFinished(owner: string, task: string): boolean {
    return this.#finished.get(owner)?.includes(task) ?? false;
  }
}

const known = new WeakMap<ServerContext, ActiveCalls>();

/** The calls of one server: all its listeners share them. */
export function activeCallsOf(context: ServerContext): ActiveCalls {
  const calls = known.get(context) ?? new ActiveCalls(context);
  known.set(context, calls);
  return calls;
}
