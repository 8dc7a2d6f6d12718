import { z } from "zod";
import { type AskOptions, askJson } from "./ask.ts";
import { PullError } from "./pull-error.ts";
import type { PullPlan } from "./remote-file.ts";
import { selectFiles } from "./select-files.ts";
import { type HubSource, isSafePath } from "./source.ts";

export interface HubAccess {
  /** Without a slash at its end. */
  endpoint: string;
  token: string | undefined;
}

/** What is read of `GET /api/models/{id}/revision/{revision}?blobs=true`. */
const repositorySchema = z.object({
  sha: z.string().regex(/^[0-9a-f]{40}$/),
  siblings: z.array(
    z.object({
      rfilename: z.string(),
      size: z.number().int().nonnegative().nullish(),
      blobId: z
        .string()
        .regex(/^[0-9a-f]{40}$/)
        .nullish(),
      lfs: z
        .object({ sha256: z.string().regex(/^[0-9a-f]{64}$/), size: z.number().int().nonnegative() })
        .nullish()
        .catch(undefined),
    }),
  ),
});

/** Lists a repository of the hub and chooses the files that its model needs. Raises PullError. */
export async function planHubPull(source: HubSource, access: HubAccess, options: Omit<AskOptions, "headers">): Promise<PullPlan> {
  const { repository, revision } = source;
  const headers: Record<string, string> = access.token === undefined ? {} : { authorization: `Bearer ${access.token}` };
  const url = `${access.endpoint}/api/models/${repository}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const { response, json } = await askJson(url, { ...options, headers });
  if (!response.ok) throw hubRefusal(response, source, access);
  const parsed = repositorySchema.safeParse(json);
  if (!parsed.success)
    throw new PullError(
      "unavailable",
      `${access.endpoint} answers in a way that is not the hub's (${parsed.error.issues[0]?.path.join(".")}).`,
    );
  const { sha: commit, siblings } = parsed.data;
  const listed = siblings
    .filter(({ rfilename }) => isSafePath(rfilename))
    .map(({ rfilename: path, size, blobId, lfs }) => ({
      path,
      bytes: lfs?.size ?? size ?? 0,
      exact: size != null || lfs != null,
      blobId,
      lfs,
    }));
  const files = selectFiles(listed, source.file, repository).map(({ path, bytes, exact, blobId, lfs }) => ({
    path,
    bytes,
    exact,
    url: `${access.endpoint}/${repository}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`,
    headers,
    sha256: lfs?.sha256,
    gitSha1: lfs ? undefined : (blobId ?? undefined),
  }));
  return { name: repository.replace("/", "--"), files, repository: { id: repository, commit, revision } };
}

/** The hub says in a header what is wrong; without a token it hides which repositories there are. */
export function hubRefusal(response: Response, { repository, revision }: HubSource, { token }: HubAccess): PullError {
  const reason = response.headers.get("x-error-code") ?? "";
  if (reason === "GatedRepo" || response.status === 403)
    return new PullError(
      "forbidden",
      `${repository} is gated: accept its terms on its page, and set HF_TOKEN to a token of that account${token === undefined ? "" : " (the one in use may not read it)"}.`,
    );
  if (reason === "RevisionNotFound") return new PullError("not_found", `${repository} has no revision "${revision}".`);
  if (response.status === 401 && token !== undefined)
    return new PullError(
      "unauthorized",
      `The hub does not take HF_TOKEN for ${repository}: it is wrong or expired, or there is no such repository.`,
    );
  if (response.status === 401 || response.status === 404 || reason === "RepoNotFound")
    return new PullError(
      "not_found",
      `The hub has no model ${repository}, or it is private${token === undefined ? " and needs HF_TOKEN" : " and not this token's"}.`,
    );
  return new PullError("unavailable", `The hub answers ${response.status} for ${repository}.`);
}
