import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { codeOf, messageOf } from "../errors.ts";
import { wordsOfIssue } from "../issue-words.ts";
import { SETTINGS, type SettingName, type Settings } from "./schema.ts";

/** A setting that stops the start. The message names it and says what it may be. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

/** Set by the start itself or by its tools, so not settings of the service. */
const NOT_SETTINGS = new Set(["KILN_CONFIG", "KILN_API_KEY", "KILN_DEBUG", "KILN_ACCEL_DIR", "KILN_OPENVINO", "KILN_CUDA"]);

/**
 * Settings from the environment over those of one JSON file (`KILN_CONFIG`, else `kiln.json` in the working
 * directory where there is one). Raises SettingsError for a name or a value that is wrong: a misspelt setting
 * that is silently ignored is found out in production.
 */
export function loadSettings(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  folder = process.cwd(),
): Settings {
  const file = readConfigFile(environment, folder);
  const problems: string[] = [];
  for (const name of Object.keys(environment)) {
    if (name.startsWith("KILN_") && !isSetting(name) && !NOT_SETTINGS.has(name)) problems.push(unknown(name, "the environment"));
  }
  for (const name of Object.keys(file.values)) if (!isSetting(name)) problems.push(unknown(name, file.path));
  const values: Record<string, unknown> = {};
  for (const [name, { schema }] of Object.entries(SETTINGS)) {
    const fromEnvironment = environment[name];
    // An empty variable is how compose files and unit files say "not set".
    const given = fromEnvironment !== undefined && fromEnvironment !== "" ? fromEnvironment : file.values[name];
    const parsed = schema.safeParse(given);
    if (parsed.success) values[name] = parsed.data;
    else problems.push(`${name}: ${parsed.error.issues.map(wordsOfIssue).join("; ")} (${SETTINGS[name as SettingName].about})`);
  }
  if (problems.length > 0) throw new SettingsError(problems.join("\n"));
  return values as unknown as Settings;
}

interface ConfigFile {
  path: string;
  values: Record<string, string>;
}

function readConfigFile(environment: Readonly<Record<string, string | undefined>>, folder: string): ConfigFile {
  const named = environment.KILN_CONFIG;
  const path = named ? resolve(folder, named) : join(folder, "kiln.json");
  let content: string;
  try {
    content = readFileSync(path, "utf8");
  } catch (error) {
    if (!named && codeOf(error) === "ENOENT") return { path, values: {} };
    throw new SettingsError(`${path} cannot be read (${messageOf(error)}); make it readable or unset KILN_CONFIG.`);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(content);
  } catch (error) {
    throw new SettingsError(`${path} is not JSON: ${messageOf(error)}.`);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    throw new SettingsError(`${path} must hold one JSON object.`);
  const values: Record<string, string> = {};
  for (const [name, value] of Object.entries(parsed)) {
    if (name === "$schema" || value === null) continue;
    if (Array.isArray(value)) values[name] = value.join(",");
    else if (["string", "number", "boolean"].includes(typeof value)) values[name] = String(value);
    else throw new SettingsError(`${name} in ${path} must be text, a number, true, false or a list.`);
  }
  return { path, values };
}

function isSetting(name: string): name is SettingName {
  return Object.hasOwn(SETTINGS, name);
}

function unknown(name: string, where: string): string {
  const nearest = Object.keys(SETTINGS)
    .map((known) => ({ known, distance: editDistance(name, known) }))
    .sort((a, b) => a.distance - b.distance)[0];
  const hint = nearest && nearest.distance <= name.length / 4 ? ` Is ${nearest.known} meant?` : "";
  return `${name} in ${where} is no setting of Kiln; \`kiln config\` lists them.${hint}`;
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(substitution, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
