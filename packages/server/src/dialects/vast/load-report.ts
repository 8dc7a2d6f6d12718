/** What the autoscaler is told of a worker; `recieved` is the contract's spelling. */
export interface LoadReport {
  id: number | string;
  loadtime: number;
  cur_load: number;
  error_msg: string;
  max_perf: number;
  cur_perf: number;
  cur_capacity: number;
  max_capacity: number;
  num_requests_working: number;
  num_requests_recieved: number;
  additional_disk_usage: number;
  url: string;
}

/** Counts what the reports say. Load and performance are of the time since the report before. */
export class LoadMeter {
  readonly #id: number | string;
  readonly #url: string;
  readonly #startedAt = performance.now();
  #loadSeconds = 0;
  #maxPerformance = 0;
  #error = "";
  #load = 0;
  #working = 0;
  #received = 0;
  #performances: number[] = [];

  constructor(id: string, url: string) {
    this.#id = /^\d{1,15}$/.test(id) ? Number(id) : id;
    this.#url = url;
  }

  /** The benchmark is through: from now on the worker gets requests. */
  loaded(maxPerformance: number): void {
    this.#maxPerformance = maxPerformance;
    this.#loadSeconds = (performance.now() - this.#startedAt) / 1000;
    this.#error = "";
  }

  failed(message: string): void {
    this.#error = message;
  }

  /** A request begins. What is returned is called at its end. */
  begin(): { accepted(workload: number): void; end(drawn: boolean): void } {
    const startedAt = performance.now();
    let units = 0;
    this.#working++;
    this.#received++;
    return {
      accepted: (workload) => {
        units = workload;
        this.#load += workload;
      },
      end: (drawn) => {
        this.#working--;
        const seconds = (performance.now() - startedAt) / 1000;
        if (drawn && seconds > 0) this.#performances.push(units / seconds);
      },
    };
  }

  /** The report of the time since the last one. */
  take(): LoadReport {
    const performances = this.#performances;
    const report = {
      id: this.#id,
      loadtime: this.#loadSeconds,
      cur_load: this.#load,
      error_msg: this.#error,
      max_perf: this.#maxPerformance,
      cur_perf: performances.length === 0 ? 0 : performances.reduce((sum, each) => sum + each, 0) / performances.length,
      cur_capacity: 0,
      max_capacity: 0,
      num_requests_working: this.#working,
      num_requests_recieved: this.#received,
      additional_disk_usage: 0,
      url: this.#url,
    };
    // The autoscaler wants to hear of the loading time once.
    this.#loadSeconds = 0;
    this.#load = 0;
    this.#performances = [];
    return report;
  }
}

const REPORT_MILLISECONDS = 5_000;

/** Sends a report to the first address that takes it. Whether one did. */
export async function sendReport(report: LoadReport, addresses: readonly string[]): Promise<boolean> {
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(report) };
  for (const address of addresses) {
    const response = await fetch(`${address}/worker_status/`, {
      ...init,
      signal: AbortSignal.timeout(REPORT_MILLISECONDS),
    }).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.ok) return true;
  }
  return false;
}
