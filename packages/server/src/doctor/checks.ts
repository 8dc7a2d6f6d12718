import { randomUUID } from "node:crypto";
import { mkdir, rm, statfs, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import { join } from "node:path";
import { chooseBackend, DEVICES, findWebGpu, PRECISIONS } from "@kiln/diffusion";
import { devicesOf } from "../engine/start-engine.ts";
import { codeOf, messageOf } from "../errors.ts";
import { openBackend } from "../open-backend.ts";
import { openQueue } from "../queue/bull-queue.ts";
import { type Database, openDatabase } from "../records/database.ts";
import { answersAsKiln, runningService } from "../service-client.ts";
import type { Settings } from "../settings/schema.ts";
import { openStorage } from "../storage/open-storage.ts";

/** What a check found. Only `failed` keeps the service from working. */
export interface Finding {
  status: "ok" | "warning" | "failed";
  /** A sentence for people: what is there, and what to do where that is not right. */
  detail: string;
  data?: Record<string, unknown>;
}

/** Less than this and the next pictures or the database may fail. */
const LITTLE_DISK_BYTES = 2 * 1024 ** 3;
/** The networks of SDXL alone take 5 GB in half precision. */
const LITTLE_MEMORY_BYTES = 8 * 1024 ** 3;

export function checkMachine(): Finding {
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  const data = { processor: model, cores: availableParallelism(), memory_bytes: totalmem(), free_memory_bytes: freemem() };
  const little = totalmem() < LITTLE_MEMORY_BYTES;
  return {
    status: little ? "warning" : "ok",
    detail: `${model}, ${data.cores} cores, ${gigabytes(data.memory_bytes)} memory (${gigabytes(data.free_memory_bytes)} free)${little ? ": too little for SDXL, enough for the demo" : ""}`,
    data,
  };
}

export function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const enough = major > 20 || (major === 20 && minor >= 19);
  const detail = `Node ${process.versions.node} on ${process.platform} ${process.arch}`;
  return enough ? { status: "ok", detail } : { status: "failed", detail: `${detail}: Kiln needs 20.19 or later.` };
}

/** The library that runs the networks here, and why it is this one. */
export async function checkBackends(settings: Settings): Promise<Finding> {
  if (settings.KILN_ENGINE === "test") return { status: "warning", detail: "the test engine, which draws flat pictures" };
  const [name = "", number] = (settings.KILN_BACKEND ?? devicesOf(settings)[0] ?? "auto").split(":");
  const device = DEVICES.find((each) => each === name);
  const deviceId = number === undefined ? {} : { deviceId: Number(number) };
  const precision = PRECISIONS.find((each) => each === settings.KILN_PRECISION);
  const { backend, why } = chooseBackend({ ...(device ? { device } : {}), ...(precision ? { precision } : {}), ...deviceId });
  const others: string[] = [];
  for (const each of ["onnx", "openvino", "webgpu", "cuda"] as const) {
    try {
      const found = chooseBackend({ device: each });
      others.push(`${found.backend.name} in ${found.backend.precision}: ${found.why}`);
    } catch (error) {
      others.push(messageOf(error));
    }
  }
  const webGpu = findWebGpu().why;
  return {
    status: "ok",
    detail: `${backend.name} in ${backend.precision}: ${why}${why.includes(webGpu) ? "" : `; WebGPU was not taken: ${webGpu}`}`,
    data: {
      backend: backend.name,
      device: backend.device ?? "cpu",
      ...(backend.card ? { card: backend.card } : {}),
      precision: backend.precision,
      why,
      reached: others,
    },
  };
}

export async function checkDisk(settings: Settings): Promise<Finding> {
  const folder = settings.KILN_DATA_DIR;
  const probe = join(folder, `.doctor-${randomUUID()}`);
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(probe, "written by kiln doctor");
  } catch (error) {
    return {
      status: "failed",
      detail: `${folder} cannot be written (${messageOf(error)}); set KILN_DATA_DIR to a folder that can.`,
    };
  } finally {
    await rm(probe, { force: true }).catch(() => {});
  }
  const { bavail, bsize, blocks } = await statfs(folder);
  const [free, size] = [bavail * bsize, blocks * bsize];
  const data = { folder, free_bytes: free, size_bytes: size };
  if (free < LITTLE_DISK_BYTES) return { status: "warning", detail: `${folder} has only ${gigabytes(free)} free`, data };
  return { status: "ok", detail: `${folder} can be written, ${gigabytes(free)} of ${gigabytes(size)} free`, data };
}

export async function checkStorage(settings: Settings): Promise<Finding> {
  const storage = await openStorage(settings);
  try {
    await storage.check();
    const key = `doctor/${randomUUID()}.txt`;
    await storage.put(key, Buffer.from("written by kiln doctor"), "text/plain");
    const read = await storage.get(key);
    await storage.delete(key);
    if (read?.toString() !== "written by kiln doctor")
      return { status: "failed", detail: "a file that was stored did not come back" };
    const s3 = settings.AWS_S3_BUCKET !== undefined && settings.KILN_STORAGE !== "local";
    return { status: "ok", detail: `${s3 ? `bucket ${settings.AWS_S3_BUCKET}` : "local folder"}: written, read, removed` };
  } finally {
    await storage.close();
  }
}

/** Database and queue, one over the other. While the service runs on the embedded database, its own word counts. */
export async function checkDatabase(settings: Settings): Promise<{ database: Finding; queue: Finding }> {
  let database: Database;
  try {
    database = await openDatabase({ url: settings.DATABASE_URL, dataDir: settings.KILN_DATA_DIR });
  } catch (error) {
    if (codeOf(error) === "unavailable") return await askService(settings, error);
    const advice = settings.DATABASE_URL === undefined ? "" : "; check DATABASE_URL and that the server runs";
    return {
      database: { status: "failed", detail: `${messageOf(error)}${advice}` },
      queue: { status: "failed", detail: "cannot be looked at without the database" },
    };
  }
  try {
    const kind = database.kind === "embedded" ? `embedded, in ${join(settings.KILN_DATA_DIR, "database")}` : "PostgreSQL";
    return {
      database: { status: "ok", detail: `${kind}: opened, tables up to date` },
      queue: await checkQueue(settings, database),
    };
  } finally {
    await database.close();
  }
}

async function checkQueue(settings: Settings, database: Database): Promise<Finding> {
  try {
    const backend = await openBackend(settings, database);
    try {
      const queue = await openQueue(backend, () => {});
      const { waiting, active } = await queue.counts();
      await queue.close();
      const sum = waiting.urgent + waiting.high + waiting.normal;
      return {
        status: "ok",
        detail: `${backend.kind}: ${sum} jobs wait, ${active} are with workers`,
        data: { backend: backend.kind, waiting, active },
      };
    } finally {
      await backend.close();
    }
  } catch (error) {
    return { status: "failed", detail: messageOf(error) };
  }
}

async function askService(settings: Settings, error: unknown): Promise<{ database: Finding; queue: Finding }> {
  try {
    const url = await runningService(settings, error);
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5000) });
    const finding: Finding = response.ok
      ? { status: "ok", detail: `in use by the service at ${url}, which is ready` }
      : {
          status: "failed",
          detail: `in use by the service at ${url}, which is not ready: ${(await response.text()).slice(0, 300)}`,
        };
    return { database: finding, queue: finding };
  } catch (reason) {
    const finding: Finding = { status: "failed", detail: messageOf(reason) };
    return { database: finding, queue: finding };
  }
}

/** Whether each address of KILN_LISTEN is free, or held by a Kiln. */
export async function checkPorts({ KILN_LISTEN }: Settings): Promise<Finding> {
  const words: string[] = [];
  let status: Finding["status"] = "ok";
  for (const { host, port, dialect } of KILN_LISTEN) {
    const name = `${host}:${port} (${dialect})`;
    const code = await bind(host, port);
    if (code === undefined) words.push(`${name} is free`);
    else if (code === "EADDRINUSE" && (await answersAsKiln(`http://${host === "0.0.0.0" ? "127.0.0.1" : host}:${port}`)))
      words.push(`${name} is served by a Kiln that runs`);
    else {
      status = "failed";
      words.push(
        code === "EADDRINUSE"
          ? `${name} is taken by another program: end it or change KILN_LISTEN`
          : `${name} cannot be listened on (${code})`,
      );
    }
  }
  return { status, detail: words.join("; ") };
}

async function bind(host: string, port: number): Promise<string | undefined> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, host, resolve));
    await new Promise((resolve) => server.close(resolve));
    return undefined;
  } catch (error) {
    return codeOf(error) ?? messageOf(error);
  }
}

export function gigabytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
