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
export function openS3Storage(options: S3Options): Storage {
  const { bucket } = options;
  const client = new S3Client({
    region: options.region,
    // Other servers than Amazon's have no host name for each bucket, and many know no trailing checksums.
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint, forcePathStyle: true }),
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    ...(options.accessKeyId !== undefined && options.secretAccessKey !== undefined
      ? { credentials: { accessKeyId: options.accessKeyId, secretAccessKey: options.secretAccessKey } }
      : {}),
    maxAttempts: 3,
  });
  let checkedAt = Number.NEGATIVE_INFINITY;

  return {
    kind: "s3",
    async put(key, bytes, contentType) {
      await asked(
        client.send(
          new PutObjectCommand({
            Bucket: bucket,
            Key: checkKey(key),
            Body: bytes,
            ContentType: contentType,
            CacheControl: CACHE_CONTROL,
          }),
        ),
        bucket,
      );
    },
    async get(key) {
      try {
        const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: checkKey(key) }));
        return Body ? Buffer.from(await Body.transformToByteArray()) : undefined;
      } catch (error) {
        if (error instanceof NoSuchKey || (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 404))
          return undefined;
        throw away(error, bucket);
      }
    },
    async delete(key) {
      await asked(client.send(new DeleteObjectCommand({ Bucket: bucket, Key: checkKey(key) })), bucket);
    },
    async *list(prefix) {
      let token: string | undefined;
      do {
        const page = await asked(
          client.send(
            new ListObjectsV2Command({
              Bucket: bucket,
              Prefix: prefix,
              ...(token === undefined ? {} : { ContinuationToken: token }),
            }),
          ),
          bucket,
        );
        for (const { Key } of page.Contents ?? []) if (Key !== undefined) yield Key;
        token = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (token !== undefined);
    },
    async address(key) {
      if (options.cdn !== undefined) return `${options.cdn.replace(/\/$/, "")}/${checkKey(key)}`;
      if (options.presignSeconds === 0) return undefined;
      return await getSignedUrl(client, new GetObjectCommand({ Bucket: bucket, Key: checkKey(key) }), {
        expiresIn: options.presignSeconds,
      });
    },
    async check() {
      if (performance.now() - checkedAt < CHECK_MILLISECONDS) return;
      await asked(client.send(new HeadBucketCommand({ Bucket: bucket })), bucket);
      checkedAt = performance.now();
    },
    close() {
      client.destroy();
    },
  };
}

async function asked<T>(request: Promise<T>, bucket: string): Promise<T> {
  try {
    return await request;
  } catch (error) {
    throw away(error, bucket);
  }
}

function away(error: unknown, bucket: string): Error {
  if (error instanceof TypeError) return error;
  return new ServiceError("unavailable", `The bucket ${bucket} does not answer (${messageOf(error)}); try again.`, {
    retryAfter: 10,
    cause: error,
  });
}
