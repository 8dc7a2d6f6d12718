import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../testing/start-test-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ KILN_LISTEN: "127.0.0.1:0=pose" });
});
afterAll(async () => {
  await server.close();
});

/** Sends bytes as they are, says that no more will come, and reads what is answered. */
async function answerTo(text: string): Promise<{ status: number; body: unknown }> {
  return await new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1", () => socket.end(text));
    socket.on("data", (bytes) => (answer += bytes.toString()));
    socket.on("error", reject);
    socket.on("close", () => {
      const [head = "", body = ""] = answer.split("\r\n\r\n");
      resolve({ status: Number(head.split(" ")[1]), body: JSON.parse(body) });
    });
  });
}

const FORM =
  '--b\r\ncontent-disposition: form-data; name="prompt"\r\n\r\nx\r\n--b\r\ncontent-disposition: form-data; name="pose"; filename="p"\r\n\r\n';
const HEAD = "POST /generate HTTP/1.1\r\nhost: localhost\r\n";

test.each([
  ["half an upload", `${HEAD}content-type: multipart/form-data; boundary=b\r\ncontent-length: 100000\r\n\r\n${FORM}abc`, 400],
  ["chunks without a length", `${HEAD}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n`, 400],
  ["no HTTP", "GENERATE a house\r\n\r\n", 400],
  ["half an escape in the address", "GET /v1/jobs/%E0%A4%A HTTP/1.1\r\nhost: localhost\r\n\r\n", 400],
  ["an id of 1,000 characters", `GET /v1/jobs/${"x".repeat(1000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`, 414],
  ["an address of 100,000 characters", `GET /${"x".repeat(100_000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`, 431],
])("%s has an answer that clients can read", async (_name, text, status) => {
  const body = { success: false, error: "malformed", detail: expect.any(String) };
  expect(await answerTo(text)).toEqual({ status, body });
  expect((await server.call("GET", "/health")).status).toBe(200);
});
