import { PullError } from "./pull-error.ts";

/** A repository on the Hugging Face hub, at a branch, tag or commit; one file of it where `file` is given. */
export interface HubSource {
  kind: "hub";
  repository: string;
  revision: string;
  file: string | undefined;
}

/** A model on Civitai: one version of it, or its newest. */
export interface CivitaiSource {
  kind: "civitai";
  model: number | undefined;
  version: number | undefined;
}

export type PullSource = HubSource | CivitaiSource;

/** Longer texts are no names of anything; hub names end at 96 characters, file names at 255. */
const MAX_SOURCE_CHARACTERS = 1000;
const REPOSITORY = /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/;
const REVISION = /^[\w][\w./-]{0,200}$/;

/**
 * Reads what a person names a model by: `org/name`, `org/name@revision`, `org/name:file.safetensors`, a page of the
 * hub, `civitai:VERSION`, or a page of Civitai.
 * @throws PullError invalid_request
 */
export function parseSource(text: string): PullSource {
  const trimmed = text.trim();
  if (trimmed.length > MAX_SOURCE_CHARACTERS) throw invalid(`${trimmed.slice(0, 80)}...`);
  const civitai = /^civitai:(\d{1,12})$/i.exec(trimmed)?.[1];
  if (civitai !== undefined) return { kind: "civitai", model: undefined, version: Number(civitai) };
  if (/^https?:\/\//i.test(trimmed)) return fromAddress(trimmed);
  const [, repository = "", revision = "main", file] = /^([^@:]+)(?:@([^:]+))?(?::(.+))?$/.exec(trimmed) ?? [];
  return hubSource(trimmed, repository, revision, file);
}

/** The source as it would be written by hand: the same for every spelling of the same thing. */
export function formatSource(source: PullSource): string {
  if (source.kind === "civitai")
    return source.version === undefined ? `https://civitai.com/models/${source.model}` : `civitai:${source.version}`;
  const { repository, revision, file } = source;
  return `${repository}${revision === "main" ? "" : `@${revision}`}${file === undefined ? "" : `:${file}`}`;
}

/** Whether a path that the other side names stays inside the folder that it is put into. */
export function isSafePath(path: string): boolean {
  if (path === "" || path.length > 500 || path.startsWith("/") || path.includes("\\")) return false;
  if (hasControlCharacters(path)) return false;
  return path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

function hasControlCharacters(text: string): boolean {
  return [...text].some((character) => (character.codePointAt(0) ?? 0) < 0x20);
}

function fromAddress(text: string): PullSource {
  const { hostname, pathname, searchParams } = readAddress(text);
  const parts = pathname.split("/").filter((part) => part !== "");
  const wholeNumber = (part: string | undefined | null) => (part && /^\d{1,12}$/.test(part) ? Number(part) : undefined);
  if (/(^|\.)civitai\.(com|green|red)$/.test(hostname)) {
    if (parts[0] === "api" && parts[1] === "download" && parts[2] === "models") {
      const version = wholeNumber(parts[3]);
      if (version !== undefined) return { kind: "civitai", model: undefined, version };
    }
    const model = parts[0] === "models" ? wholeNumber(parts[1]) : undefined;
    const version = wholeNumber(searchParams.get("modelVersionId"));
    if (model !== undefined || version !== undefined) return { kind: "civitai", model, version };
    throw invalid(text);
  }
  if (!/(^|\.)(huggingface\.co|hf\.co)$/.test(hostname)) throw invalid(text);
  const [organisation = "", name = "", view, revision, ...file] = parts.map((part) => decoded(part, text));
  const repository = `${organisation}/${name}`;
  if (view === undefined) return hubSource(text, repository, "main", undefined);
  if (!["tree", "blob", "resolve"].includes(view) || revision === undefined) throw invalid(text);
  return hubSource(text, repository, revision, view === "tree" || file.length === 0 ? undefined : file.join("/"));
}

function readAddress(text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw invalid(text);
  }
}

function decoded(part: string, address: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw invalid(address);
  }
}

function hubSource(text: string, repository: string, revision: string, file: string | undefined): HubSource {
  if (!REPOSITORY.test(repository) || repository.includes("..")) throw invalid(text);
  if (!REVISION.test(revision) || !isSafePath(revision))
    throw new PullError("invalid_request", `"${revision.slice(0, 80)}" is no branch, tag or commit.`);
  if (file !== undefined && !isSafePath(file))
    throw new PullError("invalid_request", `"${file.slice(0, 80)}" is no path of a file in a repository.`);
  return { kind: "hub", repository, revision, file };
}

function invalid(text: string): PullError {
  return new PullError(
    "invalid_request",
    `"${text.slice(0, 120)}" is no source: write org/name, org/name@revision, org/name:file.safetensors, civitai:VERSION or the address of a model's page.`,
  );
}
