import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readJsonObject } from "./json.ts";

const folder = mkdtempSync(join(tmpdir(), "kiln-json-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("what is no regular file is refused, and not waited at", async () => {
  writeFileSync(join(folder, "config.json"), '{"a": 1}');
  execFileSync("mkfifo", [join(folder, "pipe.json")]);
  symlinkSync("/dev/zero", join(folder, "device.json"));
  expect(await readJsonObject(join(folder, "config.json"))).toEqual({ a: 1 });
  for (const name of ["pipe.json", "device.json", "."])
    await expect(readJsonObject(join(folder, name))).rejects.toMatchObject({
      code: "file_corrupt",
      message: expect.stringContaining("is not a regular file"),
    });
});
