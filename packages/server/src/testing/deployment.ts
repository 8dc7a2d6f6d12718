import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ServerProcess, startServerProcess } from "./server-process.ts";
import { type StartedServer, startPostgres, startRedis } from "./servers.ts";

export const BACKENDS = ["embedded", "postgres", "redis"] as const;
export type BackendName = (typeof BACKENDS)[number];

/** What can be killed. On the embedded backend the service's process is gateway, worker and database in one. */
export type Part = "service" | "engine" | "worker" | "gateway" | "server";

/** Locks of a few seconds, so that a round need not wait for them; steps that take a while, so that kills find jobs in flight. */
const SETTINGS = { KILN_LOCK_SECONDS: "4", KILN_TEST_ENGINE_STEP_MS: "20", KILN_DRAIN_SECONDS: "1" };
/** A killed server's engine sees the end of its channel at once; on a busy machine it takes its time to go. */
const ORPHAN_SECONDS = 20;

/** A whole service in processes of its own, whose parts can be killed and come back. */
export class Deployment {
  readonly parts: readonly Part[];
  readonly #settings: Record<string, string>;
  readonly #servers: StartedServer[];
  readonly #processes = new Map<string, ServerProcess>();
  #url = "";

  private constructor(parts: readonly Part[], settings: Record<string, string>, servers: StartedServer[]) {
    this.parts = parts;
    this.#settings = settings;
    this.#servers = servers;
  }

  /** Raises an Error where the backend's server is not installed. */
  static async start(backend: BackendName, folder: string): Promise<Deployment> {
    const settings: Record<string, string> = { ...SETTINGS, KILN_DATA_DIR: join(folder, "data") };
    if (backend === "embedded") {
      const deployment = new Deployment(["service", "engine"], settings, []);
      await deployment.#launch("service");
      return deployment;
    }
    const servers: StartedServer[] = [];
    const postgres = await startPostgres();
    if (!postgres) throw new Error("PostgreSQL is not installed here.");
    servers.push(postgres);
    settings.DATABASE_URL = postgres.url;
    if (backend === "redis") {
      const redis = await startRedis();
      if (!redis) throw new Error("Redis is not installed here.");
      servers.push(redis);
      settings.REDIS_URL = redis.url;
    }
    const deployment = new Deployment(["engine", "worker", "gateway", "server"], settings, servers);
    await Promise.all(["gateway", "worker", "worker-2"].map((name) => deployment.#launch(name)));
    return deployment;
  }

  /** Where clients ask; it changes when the gateway is replaced. */
  get url(): string {
    return this.#url;
  }

  /** SIGKILL, a pause, and another one in its place. An engine is replaced by its own service. */
  async killAndReplace(part: Part, pauseMilliseconds: number): Promise<void> {
    if (part === "engine") {
      const service = this.#processes.get("worker") ?? this.#processes.get("service");
      for (const pid of enginesOf(service?.pid ?? 0)) killIfThere(pid);
    } else if (part === "server") {
      for (const server of this.#servers) server.kill();
      await sleep(pauseMilliseconds);
      for (const server of this.#servers) await server.restart();
    } else {
      await this.#processes.get(part)?.kill();
      await sleep(pauseMilliseconds);
      await this.#launch(part);
    }
  }

  /** Ends everything kindly. Returns what did not end as it should. */
  async stop(): Promise<string[]> {
    const troubles: string[] = [];
    for (const [name, process] of this.#processes) {
      const code = await process.terminate();
      if (code !== 0) troubles.push(`the ${name} ended with ${code}`);
    }
    for (const server of this.#servers) await server.stop();
    const dataDir = this.#settings.KILN_DATA_DIR ?? "";
    for (let tries = 0; tries < ORPHAN_SECONDS * 2 && processesOver(dataDir).length > 0; tries++) await sleep(500);
    for (const pid of processesOver(dataDir)) {
      troubles.push(`process ${pid} outlived the service`);
      killIfThere(pid);
    }
    return troubles;
  }

  async #launch(name: string): Promise<void> {
    const role = name === "service" ? "all" : name.replace(/-.*/, "");
    const started = await startServerProcess({ ...this.#settings, KILN_ROLE: role });
    this.#processes.set(name, started);
    if (started.url !== "") this.#url = started.url;
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** What /proc says of every process; one that ends meanwhile is left out. */
function processes(): { pid: number; parent: number; command: string; environment: string }[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const [stat = "", command = "", environment = ""] = ["stat", "cmdline", "environ"].map((file) =>
        readFileSync(`/proc/${name}/${file}`, "utf8"),
      );
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      return [{ pid: Number(name), parent, command, environment }];
    } catch {
      return [];
    }
  });
}

function enginesOf(service: number): number[] {
  return processes()
    .filter(({ parent, command }) => parent === service && command.includes("engine/process"))
    .map(({ pid }) => pid);
}

/** Every process that was started with this data folder. */
function processesOver(dataDir: string): number[] {
  return processes()
    .filter(({ environment }) => environment.split("\0").includes(`KILN_DATA_DIR=${dataDir}`))
    .map(({ pid }) => pid);
}
