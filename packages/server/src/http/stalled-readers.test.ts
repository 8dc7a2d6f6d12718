import { createServer, get, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { closeStalledReaders } from "./stalled-readers.ts";

const STALLED = 300;
/** More than the system takes over for a reader who does not read. */
const PICTURE_BYTES = 64 * 1024 * 1024;
let server: Server;
let port: number;
const sockets: Socket[] = [];

beforeAll(async () => {
  server = createServer(async ({ url }, response) => {
    if (url === "/picture") response.end(Buffer.alloc(PICTURE_BYTES));
    else {
      await sleep(4 * STALLED);
      response.end("done");
    }
  });
  server.on("connection", (socket) => sockets.push(socket));
  closeStalledReaders(server, STALLED);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => server.close());

test("a reader that stops is closed", async () => {
  const reader = connect(port, "127.0.0.1").on("error", () => {});
  const accepted = new Promise<void>((resolve) => server.once("connection", () => resolve()));
  reader.pause();
  reader.write("GET /picture HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await accepted;
  const socket = sockets.at(-1);
  if (!socket?.destroyed) await new Promise((resolve) => socket?.once("close", resolve));
  let taken = 0;
  reader.on("data", (bytes) => {
    taken += bytes.length;
  });
  if (!reader.closed) await new Promise((resolve) => reader.once("close", resolve).resume());
  expect(taken).toBeLessThan(PICTURE_BYTES);
});

test("one who waits for an answer is not", async () => {
  const text = await new Promise((resolve, reject) => {
    get({ port, path: "/slow", agent: false }, (response) => response.on("data", (bytes) => resolve(String(bytes)))).on(
      "error",
      reject,
    );
  });
  expect(text).toBe("done");
});
