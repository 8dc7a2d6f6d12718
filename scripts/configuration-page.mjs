/** Writes the table of settings into docs/configuration.md, from the settings' own descriptions. Run after `npm run build`. */
import { readFileSync, writeFileSync } from "node:fs";
import { settingsTable } from "../packages/server/dist/settings/settings-table.js";

const page = new URL("../docs/configuration.md", import.meta.url);
const old = readFileSync(page, "utf8");
const table = /^\| setting \| default \| meaning \|\n(?:\|.*\n)+/m;
if (!table.test(old)) throw new Error("docs/configuration.md has no table that begins with | setting | default | meaning |.");
writeFileSync(
  page,
  old.replace(table, () => `${settingsTable()}\n`),
);
