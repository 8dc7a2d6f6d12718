import { AsyncLocalStorage } from "node:async_hooks";

/** Where a job comes from, for logs and traces of the processes that it goes through. */
export interface JobOrigin {
  request_id: string;
  traceparent?: string;
}

/** The request that is being handled: known to whatever its handler calls, without every face handing it on. */
export const requestScope = new AsyncLocalStorage<JobOrigin>();
