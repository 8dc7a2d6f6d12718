import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it, vi } from "vitest";
import { reportFailure } from "../src/failure.ts";

it("says of a folder that the system refuses which one it is, and what to look at", async () => {
  const inside = join(fileURLToPath(import.meta.url), "data");
  const refused: unknown = await mkdir(inside, { recursive: true }).catch((error: unknown) => error);
  const said = vi.spyOn(process.stderr, "write").mockImplementation(() => true);
  expect(reportFailure(refused, { command: "kiln serve", json: false })).toBe(1);
  expect(said.mock.calls.join("")).toMatch(
    /^kiln: .*failure\.test\.ts.* cannot be used \(ENOTDIR\): check the path.*\[file_not_found\]\n$/,
  );
  said.mockRestore();
});
