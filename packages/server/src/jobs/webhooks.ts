import { createHmac } from "node:crypto";
import { lookup } from "node:dns";
import { request as httpRequest, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { BlockList, isIP } from "node:net";
import type { JobView } from "./job-view.ts";

/** One try, from the look-up to the end of the answer: a receiver that takes longer, or sends a byte now and then, is tried again. */
const TIMEOUT_MILLISECONDS = 10_000;

/**
 * Tries once to tell a job's end to the address that its request named. The body is the job; `X-Kiln-Signature` is the HMAC-SHA256
 * of `<timestamp>.<body>` with the request's secret. The address is checked when the connection is made, after the
 * name has been looked up, so that a name that changes its meaning in between leads nowhere; redirects are not followed.
 * Raises AddressRefused, and an Error that says how the receiver failed.
 *
 * @param allowPrivate whether private addresses may be called: for receivers in the operator's own network.
 * @param milliseconds how long the try may take
 */
export async function sendWebhook(
  job: JobView,
  { url, secret }: { url: string; secret?: string | undefined },
  allowPrivate: boolean,
  milliseconds = TIMEOUT_MILLISECONDS,
): Promise<void> {
  const body = JSON.stringify({ event: `job.${job.status}`, job });
  const status = await post(new URL(url), body, headersOf(body, secret), allowPrivate, AbortSignal.timeout(milliseconds));
  if (status < 200 || status >= 300) throw new Error(`it answered ${status}`);
}

function headersOf(body: string, secret: string | undefined): Record<string, string> {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const signature: Record<string, string> =
    secret === undefined
      ? {}
      : { "x-kiln-signature": `sha256=${createHmac("sha256", secret).update(`${timestamp}.${body}`).digest("hex")}` };
  return {
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body)),
    "user-agent": "kiln",
    "x-kiln-timestamp": timestamp,
    ...signature,
  };
}

/** The address is one that webhooks may not go to; trying again changes nothing. */
export class AddressRefused extends Error {}

async function post(
  url: URL,
  body: string,
  headers: Record<string, string>,
  allowPrivate: boolean,
  signal: AbortSignal,
): Promise<number> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  // A literal address is connected to without a look-up.
  if (!allowPrivate && isIP(host) !== 0 && isPrivate(host)) throw new AddressRefused("the address is private");
  const options: RequestOptions = {
    method: "POST",
    headers,
    signal,
    ...(allowPrivate ? {} : { lookup: publicLookup as never }),
  };
  return await new Promise((resolve, reject) => {
    const sent = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, options, (response) => {
      // What is still to come of the answer nobody reads; the signal ends one that does not end.
      response.on("error", () => {}).resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on("error", (error) => reject(signal.aborted ? new Error("it did not answer in time") : error));
    sent.end(body);
  });
}

type LookupDone = (error: Error | null, address?: string | { address: string; family: number }[], family?: number) => void;

/** A look-up that finds public addresses alone. */
function publicLookup(hostname: string, options: { all?: boolean }, done: LookupDone): void {
  lookup(hostname, { all: true }, (error, addresses) => {
    if (error) return done(error);
    const open = addresses.filter(({ address }) => !isPrivate(address));
    const [first] = open;
    if (!first) return done(new AddressRefused("the name leads to a private address"));
    if (options.all) done(null, open);
    else done(null, first.address, first.family);
  });
}

/** IANA's special-purpose registries: addresses that are nobody's on the public internet. */
const PRIVATE = new BlockList();
for (const [network, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const) {
  PRIVATE.addSubnet(network, bits, "ipv4");
}
const PUBLIC_IPV6 = new BlockList();
PUBLIC_IPV6.addSubnet("2000::", 3, "ipv6");
const SPECIAL_IPV6 = new BlockList();
for (const [network, bits] of [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
] as const)
  SPECIAL_IPV6.addSubnet(network, bits, "ipv6");

export function isPrivate(address: string): boolean {
  if (isIP(address) === 4) return PRIVATE.check(address, "ipv4");
  // IPv4 inside IPv6 is outside 2000::/3, and so refused with the rest.
  return !PUBLIC_IPV6.check(address, "ipv6") || SPECIAL_IPV6.check(address, "ipv6");
}
