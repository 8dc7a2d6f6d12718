import { z } from "zod";
import { type AskOptions, askJson } from "./ask.ts";
import { PullError } from "./pull-error.ts";
import type { PullPlan } from "./remote-file.ts";
import { type CivitaiSource, isSafePath } from "./source.ts";

export interface CivitaiAccess {
  /** Without a slash at its end. */
  endpoint: string;
  token: string | undefined;
}

const fileSchema = z.object({
  name: z.string(),
  sizeKB: z.number().nonnegative().nullish(),
  type: z.string().nullish(),
  primary: z.boolean().nullish(),
  downloadUrl: z.url({ protocol: /^https?$/ }),
  metadata: z
    .object({ format: z.string().nullish(), fp: z.string().nullish(), size: z.string().nullish() })
    .nullish()
    .catch(undefined),
  hashes: z.object({ SHA256: z.string().nullish() }).nullish().catch(undefined),
});
type CivitaiFile = z.output<typeof fileSchema>;

const versionSchema = z.object({ id: z.number().int(), files: z.array(fileSchema) });
const modelSchema = z.object({ modelVersions: z.array(versionSchema.extend({ files: z.array(fileSchema).nullish() })) });

/** Finds the safetensors file of a version of a model on Civitai, the newest where none is named. Raises PullError. */
export async function planCivitaiPull(
  source: CivitaiSource,
  access: CivitaiAccess,
  options: Omit<AskOptions, "headers">,
): Promise<PullPlan> {
  const headers: Record<string, string> = access.token === undefined ? {} : { authorization: `Bearer ${access.token}` };
  const version = source.version ?? (await newestVersion(source.model ?? 0, access, { ...options, headers }));
  const found = versionSchema.safeParse(
    await read(`model-versions/${version}`, `version ${version}`, access, { ...options, headers }),
  );
  if (!found.success) throw foreign(access, found.error);
  const file = bestFile(found.data.files);
  if (!file)
    throw new PullError(
      "no_safetensors",
      `Version ${version} on Civitai has no safetensors file; Kiln reads no pickles, which can run code.`,
    );
  const path = safeName(file.name, version);
  return {
    name: `civitai--${version}`,
    repository: undefined,
    files: [
      {
        path,
        // A link to anywhere else gets no token.
        url: file.downloadUrl,
        headers: new URL(file.downloadUrl).origin === new URL(access.endpoint).origin ? headers : {},
        bytes: Math.round((file.sizeKB ?? 0) * 1024),
        exact: false,
        sha256: file.hashes?.SHA256?.toLowerCase(),
        gitSha1: undefined,
      },
    ],
  };
}

async function newestVersion(model: number, access: CivitaiAccess, options: AskOptions): Promise<number> {
  const found = modelSchema.safeParse(await read(`models/${model}`, `model ${model}`, access, options));
  if (!found.success) throw foreign(access, found.error);
  const [newest] = found.data.modelVersions;
  if (!newest) throw new PullError("not_found", `Model ${model} on Civitai has no version that can be had.`);
  return newest.id;
}

async function read(path: string, what: string, access: CivitaiAccess, options: AskOptions): Promise<unknown> {
  const { response, json } = await askJson(`${access.endpoint}/api/v1/${path}`, options);
  if (response.ok) return json;
  throw civitaiRefusal(response.status, what, access);
}

export function civitaiRefusal(status: number, what: string, { token }: CivitaiAccess): PullError {
  if (status === 401)
    return new PullError(
      "unauthorized",
      token === undefined
        ? `Civitai gives ${what} to accounts alone: set CIVITAI_TOKEN (an API key of your account's settings).`
        : `Civitai does not take CIVITAI_TOKEN for ${what}: it is wrong or revoked.`,
    );
  if (status === 403)
    return new PullError("forbidden", `Civitai does not let this account have ${what}: it may be in early access.`);
  if (status === 404) return new PullError("not_found", `Civitai has no ${what}.`);
  return new PullError("unavailable", `Civitai answers ${status} for ${what}.`);
}

/** The primary file where it fits; half precision and pruned before others. */
function bestFile(files: readonly CivitaiFile[]): CivitaiFile | undefined {
  const usable = files.filter(
    ({ name, type, metadata }) =>
      name.toLowerCase().endsWith(".safetensors") &&
      (metadata?.format == null || metadata.format === "SafeTensor") &&
      (type == null || /^(pruned )?model$/i.test(type)),
  );
  const rank = ({ primary, metadata }: CivitaiFile) =>
    (metadata?.fp === "fp32" ? 4 : 0) + (metadata?.size === "full" ? 2 : 0) + (primary === true ? 0 : 1);
  return usable.sort((a, b) => rank(a) - rank(b))[0];
}

/** The file's own name as far as it is harmless in a path. */
function safeName(name: string, version: number): string {
  const plain = name.replace(/[^\w.()-]+/g, "_").replace(/^[._]+/, "");
  return isSafePath(plain) && plain.length <= 200 && plain.endsWith(".safetensors") ? plain : `${version}.safetensors`;
}

function foreign({ endpoint }: CivitaiAccess, error: z.ZodError): PullError {
  return new PullError("unavailable", `${endpoint} answers in a way that is not Civitai's (${error.issues[0]?.path.join(".")}).`);
}
