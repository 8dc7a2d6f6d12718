import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeSettings } from "./describe.ts";
import { loadSettings, SettingsError } from "./load.ts";
import { SETTINGS } from "./schema.ts";
import { settingsTable } from "./settings-table.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kiln-settings-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("without anything there is one listener on loopback", () => {
  expect(loadSettings({}, folder)).toMatchObject({
    KILN_LISTEN: [{ host: "127.0.0.1", port: 7860, dialect: "instant" }],
    KILN_ROLE: "all",
    KILN_SLOTS: 4,
  });
});

test("LoRAs for every request have weights", () => {
  const loras = (text: string) => loadSettings({ SDXL_LORA_PATH: text }, folder).SDXL_LORA_PATH;
  expect(loras("/models/my style.safetensors")).toEqual([{ name: "/models/my style.safetensors", weight: 1 }]);
  expect(loras("C:\\a.safetensors:0.8, style:-1,b")).toEqual([
    { name: "C:\\a.safetensors", weight: 0.8 },
    { name: "style", weight: -1 },
    { name: "b", weight: 1 },
  ]);
  for (const text of ["a,", "a:5", `${"a,".repeat(8)}a`]) expect(() => loras(text), text).toThrow(/SDXL_LORA_PATH/);
});

test("the environment goes over the file, an empty variable does not", () => {
  writeFileSync(join(folder, "kiln.json"), JSON.stringify({ KILN_SLOTS: 2, KILN_HOSTS: ["a", "b"], KILN_TRUST_PROXY: true }));
  expect(loadSettings({ KILN_SLOTS: "" }, folder)).toMatchObject({
    KILN_SLOTS: 2,
    KILN_HOSTS: ["a", "b"],
    KILN_TRUST_PROXY: true,
  });
  expect(loadSettings({ KILN_SLOTS: "8" }, folder).KILN_SLOTS).toBe(8);
});

test.each([
  [{ KILN_LISTEN: "localhost" }, /KILN_LISTEN: "localhost" is not \[host:\]port\[=dialect\]/],
  [{ KILN_LISTEN: "99999=instant" }, /KILN_LISTEN/],
  [{ KILN_LISTEN: "7860=nothing" }, /"nothing" is no dialect/],
  [{ KILN_SLOTS: "many" }, /KILN_SLOTS: must be a whole number/],
  [{ KILN_SLOTS: "0" }, /KILN_SLOTS: must be at least 1/],
  [{ KILN_CONTENT_CEILING: "101" }, /KILN_CONTENT_CEILING: must be at most 100/],
  [{ KILN_ROLE: "boss" }, /KILN_ROLE: must be one of all, gateway, worker/],
  [{ UNSECURED: "perhaps" }, /UNSECURED: must be one of 0, 1, true, false, yes, no/],
  [{ HF_ENDPOINT: "hub" }, /HF_ENDPOINT: must be an address that begins with http/],
  [{ KILN_FOO: "x" }, /KILN_FOO in the environment is no setting of Kiln; `kiln config` lists them\.$/],
  [{ KILN_LISTN: "x" }, /KILN_LISTN in the environment is no setting.*KILN_LISTEN meant/],
  [{ DATABASE_URL: "mysql://x" }, /DATABASE_URL: must be an address that begins with postgres/],
  [{ KILN_CONFIG: "missing.json" }, /missing.json cannot be read/],
])("%j stops the start", (environment, message) => {
  expect(() => loadSettings(environment, folder)).toThrow(message);
});

test("an unknown name or a broken file stops the start", () => {
  writeFileSync(join(folder, "kiln.json"), JSON.stringify({ SLOTS: 2 }));
  expect(() => loadSettings({}, folder)).toThrow(/SLOTS in .*kiln.json is no setting/);
  writeFileSync(join(folder, "kiln.json"), "{");
  expect(() => loadSettings({}, folder)).toThrow(SettingsError);
});

test("listeners have hosts, IPv6 too", () => {
  const { KILN_LISTEN } = loadSettings({ KILN_LISTEN: "0.0.0.0:7860, [::1]:8007=queue" }, folder);
  expect(KILN_LISTEN).toEqual([
    { host: "0.0.0.0", port: 7860, dialect: "instant" },
    { host: "::1", port: 8007, dialect: "queue" },
  ]);
});

test("variables of the diffusion library are no misspelt settings", () => {
  expect(() =>
    loadSettings({ KILN_OPENVINO: "/opt/openvino", KILN_ACCEL_DIR: "/opt/accel", KILN_CUDA: "/opt/cuda" }, folder),
  ).not.toThrow();
});

test("the description has every setting and no secret", () => {
  const described = describeSettings(loadSettings({ AWS_SECRET_ACCESS_KEY: "hush" }, folder));
  expect(described.map(({ name }) => name)).toEqual(Object.keys(SETTINGS));
  expect(JSON.stringify(described)).not.toContain("hush");
  expect(described.every(({ about }) => about.length > 10)).toBe(true);
});

test("docs/configuration.md has the table of settings as it is; scripts/configuration-page.mjs writes it", () => {
  const page = readFileSync(new URL("../../../../docs/configuration.md", import.meta.url), "utf8");
  expect(page.match(/^\| setting \|(?:.*\n\|)+.*$/m)?.[0]).toBe(settingsTable());
});
