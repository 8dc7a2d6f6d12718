import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListObjectsV2Command,
  NoSuchKey,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { messageOf, ServiceError } from "../errors.ts";
import { checkKey, type Storage } from "./storage.ts";

export interface S3Options {
  bucket: string;
  region: string;
  endpoint: string | undefined;
  accessKeyId: string | undefined;
  secretAccessKey: string | undefined;
  /** Base address of a CDN before the bucket. */
  cdn: string | undefined;
  /** Without a CDN, links are presigned for so long; 0 leads them through Kiln. */
  presignSeconds: number;
}

/** Pictures never change at their key. */
const CACHE_CONTROL = "max-age=31536000";
/** How long the answer to "is the bucket there" holds; it is asked for every job. */
const CHECK_MILLISECONDS = 5000;

/** A bucket of any S3 server. An object is visible only when its upload is whole; S3 promises that. */
export class S3Storage implements Storage {
  readonly kind = "s3";
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #cdn: string | undefined;
  readonly #presignSeconds: number;
  #checkedAt = Number.NEGATIVE_INFINITY;

  constructor(options: S3Options) {
    this.#client = makeClient(options);
    this.#bucket = options.bucket;
    this.#cdn = options.cdn?.replace(/\/$/, "");
    this.#presignSeconds = options.presignSeconds;
  }

  async put(key: string, bytes: Uint8Array, contentType: string): Promise<void> {
    const object = { Key: checkKey(key), Body: bytes, ContentType: contentType, CacheControl: CACHE_CONTROL };
    await this.#asked(this.#client.send(new PutObjectCommand({ Bucket: this.#bucket, ...object })));
  }

  async get(key: string): Promise<Buffer | undefined> {
    try {
      const { Body } = await this.#client.send(new GetObjectCommand({ Bucket: this.#bucket, Key: checkKey(key) }));
      return Body ? Buffer.from(await Body.transformToByteArray()) : undefined;
    } catch (error) {
      if (error instanceof NoSuchKey || (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 404))
        return undefined;
      throw away(error, this.#bucket);
    }
  }

  async delete(key: string): Promise<void> {
    await this.#asked(this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: checkKey(key) })));
  }

  async *list(prefix: string): AsyncIterable<string> {
    let token: string | undefined;
    do {
      const from = token === undefined ? {} : { ContinuationToken: token };
      const command = new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: prefix, ...from });
      const page = await this.#asked(this.#client.send(command));
      for (const { Key } of page.Contents ?? []) if (Key !== undefined) yield Key;
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async address(key: string): Promise<string | undefined> {
    if (this.#cdn !== undefined) return `${this.#cdn}/${checkKey(key)}`;
    if (this.#presignSeconds === 0) return undefined;
    const command = new GetObjectCommand({ Bucket: this.#bucket, Key: checkKey(key) });
    return await getSignedUrl(this.#client, command, { expiresIn: this.#presignSeconds });
  }

  async check(): Promise<void> {
    if (performance.now() - this.#checkedAt < CHECK_MILLISECONDS) return;
    await this.#asked(this.#client.send(new HeadBucketCommand({ Bucket: this.#bucket })));
    this.#checkedAt = performance.now();
  }

  close(): void {
    this.#client.destroy();
  }

  async #asked<T>(request: Promise<T>): Promise<T> {
    try {
      return await request;
    } catch (error) {
      throw away(error, this.#bucket);
    }
  }
}

function makeClient({ region, endpoint, accessKeyId, secretAccessKey }: S3Options): S3Client {
  return new S3Client({
    region,
    // Other servers than Amazon's have no host name for each bucket, and many know no trailing checksums.
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    ...(accessKeyId !== undefined && secretAccessKey !== undefined ? { credentials: { accessKeyId, secretAccessKey } } : {}),
    maxAttempts: 3,
  });
}

function away(error: unknown, bucket: string): Error {
  if (error instanceof TypeError) return error;
  return new ServiceError("unavailable", `The bucket ${bucket} does not answer (${messageOf(error)}); try again.`, {
    retryAfter: 10,
    cause: error,
  });
}
