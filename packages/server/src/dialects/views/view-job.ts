import { z } from "zod";
import type { Document } from "../../records/documents.ts";

export const VIEWS = ["rear", "side"] as const;
export type View = (typeof VIEWS)[number];

/** The contract's states. */
export const STATUSES = ["queued", "processing", "completed", "failed"] as const;
export type ViewStatus = (typeof STATUSES)[number];

export const SELECTIONS = ["simulation1", "simulation2"] as const;

/** One of a job's two pictures. */
const part = z.object({
  /** The native job that draws it. */
  job: z.string(),
  tries: z.number(),
  done: z.boolean(),
});

const viewJobData = z.object({
  user: z.number(),
  region: z.string(),
  scenario: z.string(),
  message: z.string(),
  /** For search, in lower case. */
  words: z.string(),
  status: z.enum(STATUSES),
  /** Not at its end yet. */
  open: z.boolean(),
  favorite: z.boolean(),
  selected: z.enum(SELECTIONS).nullable(),
  error: z.string().nullable(),
  warnings: z.array(z.string()),
  pose_found: z.boolean(),
  /** Opens the pictures' addresses: a browser's <img> sends no token. */
  secret: z.string(),
  original: z.object({ key: z.string(), format: z.string() }),
  /** What both pictures are drawn from; a second attempt sends the same. */
  recipe: z.object({ prompt: z.string(), native: z.record(z.string(), z.unknown()) }),
  parts: z.object({ rear: part, side: part }).nullable(),
});

export type ViewJobData = z.output<typeof viewJobData>;

export interface ViewJob {
  id: number;
  owner: string;
  data: ViewJobData;
  created_at: Date;
  updated_at: Date;
}

export function viewJobOf({ id, owner, data, created_at, updated_at }: Document): ViewJob {
  return { id, owner, data: viewJobData.parse(data), created_at, updated_at };
}

/** Where the pictures lie, by the contract; the extension follows from the format. */
export function pictureKey(id: number, view: View): string {
  return `simulations/${id}_${view}`;
}

export function wordsOf({ region, scenario, message }: Pick<ViewJobData, "region" | "scenario" | "message">): string {
  return `${region} ${scenario} ${message}`.toLowerCase();
}
