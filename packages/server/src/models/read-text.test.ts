import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readText } from "./read-text.ts";

const folder = mkdtempSync(join(tmpdir(), "kiln-read-text-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("reads a file, and nothing that is none", async () => {
  writeFileSync(join(folder, "file"), "text");
  execFileSync("mkfifo", [join(folder, "pipe")]);
  symlinkSync("/dev/zero", join(folder, "device"));
  expect(await readText(join(folder, "file"))).toBe("text");
  for (const name of ["pipe", "device", ".", "missing"]) expect(await readText(join(folder, name))).toBeUndefined();
});
