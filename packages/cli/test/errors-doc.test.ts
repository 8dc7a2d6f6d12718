import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ERROR_CODES } from "@kiln/diffusion";
import { expect, it } from "vitest";
import { root } from "./run-kiln.ts";

it("docs/errors.md has every code once, in the order of the source", () => {
  const text = readFileSync(join(root, "docs/errors.md"), "utf8");
  expect([...text.matchAll(/^\| `(\w+)` \|/gm)].map(([, code]) => code)).toEqual([...ERROR_CODES]);
});
