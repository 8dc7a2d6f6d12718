/** A file on the other side, with everything needed to fetch it and to know that it is whole. */
export interface RemoteFile {
  /** Where it belongs inside the model's folder; checked to stay inside. */
  path: string;
  url: string;
  /** Sent to `url` alone: not to where it redirects. */
  headers: Record<string, string>;
  bytes: number;
  /** Whether `bytes` is to the byte; else it is only for planning. */
  exact: boolean;
  /** SHA-256 of the content, lower-case hex. */
  sha256: string | undefined;
  /** SHA-1 of the content as git stores it, for files whose SHA-256 the hub does not keep. */
  gitSha1: string | undefined;
}

/** What a pull will fetch. */
export interface PullPlan {
  /** What the model's folder is called. */
  name: string;
  files: RemoteFile[];
  /** For the Hugging Face cache: the repository, the commit, and the name that was asked for. */
  repository: { id: string; commit: string; revision: string } | undefined;
}
