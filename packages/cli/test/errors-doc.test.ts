import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ERROR_CODES } from "@kiln/diffusion";
import { SERVICE_ERRORS } from "@kiln/server";
import { expect, it } from "vitest";
import { root } from "./run-kiln.ts";

const [library = "", service = ""] = readFileSync(join(root, "docs/errors.md"), "utf8").split("The service answers");

it("docs/errors.md has every code of the library once, in the order of the source", () => {
  expect([...library.matchAll(/^\| `(\w+)` \|/gm)].map(([, code]) => code)).toEqual([...ERROR_CODES]);
});

it("docs/errors.md has every code of the service once, with its status", () => {
  const rows = [...service.matchAll(/^\| (`[^|]+) \| ([\d, ]+) \|/gm)].flatMap(([, codes = "", statuses = ""]) => {
    const each = statuses.split(", ").map(Number);
    // Codes with one status among them share a row.
    return codes.split(", ").map((code, i) => [code.replaceAll("`", ""), each[i] ?? each[0]] as const);
  });
  expect(rows.length).toBe(Object.keys(SERVICE_ERRORS).length);
  expect(Object.fromEntries(rows)).toEqual(SERVICE_ERRORS);
});
