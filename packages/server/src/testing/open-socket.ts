import { randomBytes } from "node:crypto";
import { get } from "node:http";

export interface TestSocket {
  /** 101, or the status of a refusal. */
  status: number;
  /** What the server has sent, parsed. */
  messages: unknown[];
  /** Resolves once the server says that this is the end, or simply goes. */
  ended: Promise<void>;
  close(): void;
}

const TEXT = 1;
const CLOSE = 8;

/** A WebSocket (RFC 6455) that listens: Node 20 brings no client. */
export async function openSocket(url: string): Promise<TestSocket> {
  const headers = {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": randomBytes(16).toString("base64"),
  };
  return await new Promise((resolve, reject) => {
    const request = get(url, { headers });
    request.on("error", reject);
    request.on("response", (response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0, messages: [], ended: Promise.resolve(), close: () => {} });
    });
    request.on("upgrade", (_response, socket, head) => {
      const messages: unknown[] = [];
      let waiting = head;
      let end = () => {};
      const ended = new Promise<void>((resolveEnd) => {
        end = resolveEnd;
      });
      const read = (bytes: Buffer) => {
        waiting = Buffer.concat([waiting, bytes]);
        for (let frame = firstFrame(waiting); frame; frame = firstFrame(waiting)) {
          waiting = waiting.subarray(frame.end);
          if (frame.kind === CLOSE) end();
          if (frame.kind === TEXT) messages.push(JSON.parse(frame.text));
        }
      };
      read(Buffer.alloc(0));
      socket.on("data", read);
      socket.on("error", () => {});
      socket.on("close", () => end());
      resolve({ status: 101, messages, ended, close: () => socket.destroy() });
    });
  });
}

/** Section 5.2: kind, length of 7, 16 or 64 bits, and, from a server, the text as it is. */
function firstFrame(bytes: Buffer): { kind: number; text: string; end: number } | undefined {
  const short = (bytes[1] ?? 0) & 0x7f;
  const start = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < start) return undefined;
  const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  if (bytes.length < start + length) return undefined;
  return { kind: (bytes[0] ?? 0) & 0x0f, text: bytes.toString("utf8", start, start + length), end: start + length };
}
