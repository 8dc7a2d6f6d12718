import { asRecord, number, text } from "./decode.ts";

/** What went wrong, in words that can be shown as they are. */
export class ApiProblem extends Error {
  /** 0 when no answer came at all. */
  readonly status: number;
  readonly code: string | undefined;
  /** The request's field at fault, in the request's own names ("width", "controls"). */
  readonly field: string | undefined;

  constructor(message: string, status: number, code?: string, field?: string) {
    super(message);
    this.name = "ApiProblem";
    this.status = status;
    this.code = code;
    this.field = field;
  }

  /** True when the service did not answer, so that trying again later makes sense. */
  get isConnection(): boolean {
    return this.status === 0;
  }
}

export function connectionProblem(): ApiProblem {
  return new ApiProblem("The service does not answer. The page keeps trying.", 0, "connection_lost");
}

/** The browser asks for the key by itself, and sends it with pictures and event streams too, which a page cannot do. */
const KEY_NEEDED = "This service asks for a key. Reload the page and give the key as the password; the name may be anything.";

/** Reads an RFC 9457 problem; an answer that is none still gets a sentence. */
export async function problemFrom(response: Response): Promise<ApiProblem> {
  const body: unknown = await response.json().catch(() => undefined);
  const problem = asRecord(body);
  const fallback = `The service answered with status ${response.status} and no explanation. Its log says more.`;
  return new ApiProblem(
    // The service tells programs how to send a key; a person gives it to the browser.
    response.status === 401 ? KEY_NEEDED : (text(problem.detail) ?? text(problem.title) ?? fallback),
    number(problem.status) ?? response.status,
    text(problem.code),
    fieldName(text(problem.field)),
  );
}

/** "/width", "body.width" and "controls[0].image" all name a top field: the one that the page can mark. */
function fieldName(field: string | undefined): string | undefined {
  return field
    ?.replace(/^body[./]/, "")
    .replace(/^\//, "")
    .split(/[./[]/)[0];
}

export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
