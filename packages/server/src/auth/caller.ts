/** Who asks. Everything that a request may do is decided from this. */
export interface Caller {
  /** Whose jobs and pictures these are: the key's id, or `local` while no key exists. */
  owner: string;
  role: "admin" | "user";
  ratePerMinute: number | undefined;
  quotaPicturesPerDay: number | undefined;
  /** Steps x pixels in millions. */
  quotaMegapixelStepsPerDay?: number | undefined;
  contentCeiling: number | undefined;
}

/** Whoever sits at the machine, while no key has been created. */
export const LOCAL_CALLER: Caller = {
  owner: "local",
  role: "admin",
  ratePerMinute: undefined,
  quotaPicturesPerDay: undefined,
  contentCeiling: undefined,
};

/** Whoever holds a signed link, on the routes of pictures alone: what it shows was decided when it was signed. */
export const LINK_CALLER: Caller = { ...LOCAL_CALLER, owner: "link" };

/** Whoever asks for something that is answered without a key. Has nothing and may do nothing. */
export const ANONYMOUS_CALLER: Caller = { ...LOCAL_CALLER, owner: "anonymous", role: "user" };
