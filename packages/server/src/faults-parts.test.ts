import { execFileSync } from "node:child_process";
import { rmSync, statfsSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { expect, test } from "vitest";
import type { JobView } from "./jobs/job-view.ts";
import { startCuttableProxy } from "./testing/cuttable-proxy.ts";
import { cleanups, expectAllCompleted, folder, KILLING_MILLISECONDS } from "./testing/faults.ts";
import { submitMany } from "./testing/send-jobs.ts";
import { startPostgres, startS3 } from "./testing/servers.ts";
import { startTestServer, type TestServer } from "./testing/start-test-server.ts";

const SMALL = { prompt: "x", width: 64, height: 64 };

/** Tries until the answer has this status; the tests' own time limit ends what never comes. */
async function until(status: number, ask: () => Promise<{ status: number; json: unknown }>): Promise<unknown> {
  for (;;) {
    const answer = await ask();
    if (answer.status === status) return answer.json;
    await sleep(100);
  }
}

async function started(settings: Record<string, string>, dataDir = folder()): Promise<TestServer> {
  const server = await startTestServer({ KILN_LOCK_SECONDS: "2", ...settings }, dataDir);
  cleanups.push(() => server.close());
  return server;
}

async function idOf(server: TestServer, steps: number): Promise<string> {
  const { status, json } = await server.call("POST", "/v1/jobs", { ...SMALL, steps });
  expect(status).toBe(202);
  return (json as JobView).id;
}

test("a full disk refuses new jobs with 507, and a job that runs ends when there is room again", async ({ skip }) => {
  const dataDir = folder();
  const pictures = folder();
  symlinkSync(pictures, join(dataDir, "pictures"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=120m", "tmpfs", pictures], { stdio: "ignore" });
  } catch {
    return skip("a small file system cannot be mounted here");
  }
  cleanups.push(() => execFileSync("umount", ["-l", pictures], { stdio: "ignore" }));
  const server = await started({ KILN_TEST_ENGINE_STEP_MS: "20" }, dataDir);
  const running = await idOf(server, 30);
  const filler = join(pictures, "filler");
  const { bavail, bsize } = statfsSync(pictures);
  writeFileSync(filler, Buffer.alloc(bavail * bsize));
  const refused = await server.call("POST", "/v1/jobs", SMALL);
  expect(refused).toMatchObject({ status: 507, json: { code: "storage_full", status: 507 } });
  expect(refused.headers.get("retry-after")).not.toBeNull();
  await sleep(1500); // the picture is drawn by now, and finds no room
  expect((await server.call("GET", `/v1/jobs/${running}`)).json).toMatchObject({ status: "running" });
  rmSync(filler);
  const accepted = await idOf(server, 1);
  await expectAllCompleted(server.url, new Set([running, accepted]));
});

test("a database that is away answers 503, and nothing that was acknowledged is lost", { timeout: KILLING_MILLISECONDS }, async ({
  skip,
}) => {
  const postgres = await startPostgres();
  if (!postgres) return skip("PostgreSQL is not installed here");
  cleanups.push(() => postgres.stop());
  const address = new URL(postgres.url);
  const proxy = await startCuttableProxy(Number(address.port));
  cleanups.push(() => proxy.close());
  address.port = String(proxy.port);
  const server = await started({ DATABASE_URL: address.href, KILN_TEST_ENGINE_STEP_MS: "50" });
  const acknowledged = new Set<string>();
  await submitMany(() => server.url, 20, acknowledged);
  proxy.cut();
  const refused = await server.call("POST", "/v1/jobs", SMALL);
  expect(refused).toMatchObject({ status: 503, json: { code: "unavailable" } });
  expect(refused.headers.get("retry-after")).not.toBeNull();
  expect((await server.call("GET", "/v1/jobs")).status).toBe(503);
  expect((await server.call("GET", "/healthz")).status).toBe(200);
  expect((await server.call("GET", "/readyz")).status).toBe(503);
  await sleep(4000); // longer than the locks of the jobs
  proxy.mend();
  await until(202, () => server.call("POST", "/v1/jobs", SMALL));
  expect(acknowledged.size).toBe(20);
  await expectAllCompleted(server.url, acknowledged);
});

test("S3 that is away answers 503, and a job that runs ends when it is back", { timeout: KILLING_MILLISECONDS }, async ({
  skip,
}) => {
  const s3 = await startS3();
  if (!s3) return skip("versitygw is not installed here");
  cleanups.push(() => s3.stop());
  const credentials = { accessKeyId: s3.accessKey, secretAccessKey: s3.secretKey };
  const client = new S3Client({ region: "us-east-1", endpoint: s3.url, forcePathStyle: true, credentials });
  await client.send(new CreateBucketCommand({ Bucket: "pictures" }));
  client.destroy();
  const server = await started({
    AWS_S3_BUCKET: "pictures",
    AWS_ENDPOINT_URL: s3.url,
    AWS_ACCESS_KEY_ID: s3.accessKey,
    AWS_SECRET_ACCESS_KEY: s3.secretKey,
    KILN_TEST_ENGINE_STEP_MS: "20",
  });
  const running = await idOf(server, 30);
  s3.kill();
  const refused = await until(503, () => server.call("POST", "/v1/jobs", { ...SMALL, steps: 1 }));
  expect(refused).toMatchObject({ code: "unavailable" });
  await s3.restart();
  const accepted = (await until(202, () => server.call("POST", "/v1/jobs", SMALL))) as JobView;
  await expectAllCompleted(server.url, new Set([running, accepted.id]));
});
