import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { homedir, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A real server that a test started, with an address of its own. */
export interface StartedServer {
  url: string;
  /** Ends it without a chance to say goodbye, and starts it again on the same data. */
  kill(): void;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** On a machine that is busy with other tests. */
const START_SECONDS = 60;
/** Before another try: PostgreSQL's other processes notice the end of a killed first one, or somebody gives the port back. */
const PAUSE_MILLISECONDS = 200;

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Waits until the process answers. False when it ended instead. */
async function answers(child: ChildProcess, port: number, giveUp: number): Promise<boolean> {
  while (performance.now() < giveUp && !hasEnded(child)) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
    if (open && !hasEnded(child)) return true;
    await sleep(50);
  }
  return false;
}

/** Starts a server again and again until it stays. */
async function launchUntilUp(launch: () => ChildProcess, port: number): Promise<ChildProcess> {
  const giveUp = performance.now() + START_SECONDS * 1000;
  while (performance.now() < giveUp) {
    const child = launch();
    if (await answers(child, port, giveUp)) return child;
    child.kill("SIGKILL");
    await sleep(PAUSE_MILLISECONDS);
  }
  throw new Error(`nothing answers on port ${port}`);
}

function findProgram(name: string, folders: string[] = []): string | undefined {
  const path = [...(process.env.PATH ?? "").split(":"), ...folders];
  return path.map((folder) => join(folder, name)).find((file) => existsSync(file));
}

/** Redis (or Valkey) with its data on disk; undefined where it is not installed. */
export async function startRedis(): Promise<StartedServer | undefined> {
  const program = findProgram("redis-server") ?? findProgram("valkey-server");
  if (!program) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "kiln-redis-"));
  const port = await freePort();
  const options = [
    "--port",
    String(port),
    "--dir",
    folder,
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
    "--save",
    "",
    "--maxmemory-policy",
    "noeviction",
  ];
  return await keep(folder, port, `redis://127.0.0.1:${port}`, () => spawn(program, options, { stdio: "ignore" }));
}

/** PostgreSQL on a fresh cluster; undefined where it is not installed. */
export async function startPostgres(): Promise<StartedServer | undefined> {
  const versions = existsSync("/usr/lib/postgresql")
    ? readdirSync("/usr/lib/postgresql").map((version) => `/usr/lib/postgresql/${version}/bin`)
    : [];
  const initdb = findProgram("initdb", versions);
  if (!initdb) return undefined;
  const program = initdb.replace(/initdb$/, "postgres");
  const folder = mkdtempSync(join(tmpdir(), "kiln-postgres-"));
  // PostgreSQL refuses to run as root.
  const isRoot = userInfo().uid === 0;
  const account = isRoot ? idsOf("postgres") : undefined;
  if (isRoot && !account) return undefined;
  if (account) chownSync(folder, account.uid, account.gid);
  const data = join(folder, "data");
  execFileSync(initdb, ["-D", data, "-U", "kiln", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"], {
    stdio: "ignore",
    cwd: folder,
    ...account,
  });
  const port = await freePort();
  // Tests kill it and leave the machine running: what the operating system has is safe.
  const changes = ["listen_addresses=127.0.0.1", "fsync=off"].flatMap((change) => ["-c", change]);
  const options = ["-D", data, "-p", String(port), "-k", folder, ...changes];
  const url = `postgres://kiln@127.0.0.1:${port}/postgres`;
  return await keep(folder, port, url, () => spawn(program, options, { stdio: "ignore", cwd: folder, ...account }));
}

/** versitygw, an S3 server over a folder; undefined where it is not installed (`go install github.com/versity/versitygw/cmd/versitygw@latest`). */
export async function startS3(): Promise<(StartedServer & { accessKey: string; secretKey: string }) | undefined> {
  const program = findProgram("versitygw", [join(homedir(), "go", "bin")]);
  if (!program) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "kiln-s3-"));
  const port = await freePort();
  const accessKey = "kiln";
  const secretKey = "kiln-secret-for-tests";
  const options = ["--port", `127.0.0.1:${port}`, "--access", accessKey, "--secret", secretKey, "posix", "--nometa", folder];
  const server = await keep(folder, port, `http://127.0.0.1:${port}`, () => spawn(program, options, { stdio: "ignore" }));
  return { ...server, accessKey, secretKey };
}

async function keep(folder: string, port: number, url: string, launch: () => ChildProcess): Promise<StartedServer> {
  let child = await launchUntilUp(launch, port);
  const ended = (process: ChildProcess) =>
    hasEnded(process) ? Promise.resolve() : new Promise((resolve) => process.once("exit", resolve));
  return {
    url,
    kill: () => child.kill("SIGKILL"),
    async restart() {
      await ended(child);
      child = await launchUntilUp(launch, port);
    },
    async stop() {
      child.kill("SIGINT");
      const timer = setTimeout(() => child.kill("SIGKILL"), 3000);
      await ended(child);
      clearTimeout(timer);
      // A killed PostgreSQL's other processes write until they notice.
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function idsOf(user: string): { uid: number; gid: number } | undefined {
  try {
    const id = (flag: string) => Number(execFileSync("id", [flag, user], { stdio: ["ignore", "pipe", "ignore"] }).toString());
    return { uid: id("-u"), gid: id("-g") };
  } catch {
    return undefined;
  }
}
