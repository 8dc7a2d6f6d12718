import { randomBytes } from "node:crypto";
import type { Kysely } from "kysely";
import type { RecordsSchema } from "./schema.ts";

/** The installation's random value of this name: made once, by whichever process asks first. 256 bits. */
export async function sharedSecret(db: Kysely<RecordsSchema>, name: string): Promise<Buffer> {
  const value = randomBytes(32).toString("base64url");
  await db
    .insertInto("secrets")
    .values({ name, value })
    .onConflict((conflict) => conflict.column("name").doNothing())
    .execute();
  const kept = await db.selectFrom("secrets").select("value").where("name", "=", name).executeTakeFirstOrThrow();
  return Buffer.from(kept.value, "base64url");
}
