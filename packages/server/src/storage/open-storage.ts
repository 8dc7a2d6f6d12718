import { join } from "node:path";
import type { Settings } from "../settings/schema.ts";
import { openLocalStorage } from "./local-storage.ts";
import type { Storage } from "./storage.ts";

/** The storage that the settings choose. Raises an Error that names the setting that is missing. */
export async function openStorage(settings: Settings): Promise<Storage> {
  const kind = settings.KILN_STORAGE ?? (settings.AWS_S3_BUCKET === undefined ? "local" : "s3");
  if (kind === "local") {
    // The embedded database does not wait for the disk either: a picture that did would outlive its record.
    const survivesPowerLoss = settings.DATABASE_URL !== undefined;
    return await openLocalStorage(join(settings.KILN_DATA_DIR, "pictures"), settings.CLOUDFRONT_URL, survivesPowerLoss);
  }
  if (settings.AWS_S3_BUCKET === undefined) throw new Error("KILN_STORAGE=s3 needs AWS_S3_BUCKET.");
  // The SDK is large; whoever keeps pictures in a folder does not load it.
  const { S3Storage } = await import("./s3-storage.ts");
  return new S3Storage({
    bucket: settings.AWS_S3_BUCKET,
    region: settings.AWS_REGION,
    endpoint: settings.AWS_ENDPOINT_URL,
    accessKeyId: settings.AWS_ACCESS_KEY_ID,
    secretAccessKey: settings.AWS_SECRET_ACCESS_KEY,
    cdn: settings.CLOUDFRONT_URL,
    presignSeconds: settings.KILN_S3_PRESIGN_SECONDS,
  });
}
