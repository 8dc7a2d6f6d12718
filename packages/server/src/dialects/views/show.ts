import type { JobProgress } from "../../events/bus.ts";
import type { ServerContext } from "../../http/dialect.ts";
import { pictureKey, VIEWS, type View, type ViewJob } from "./view-job.ts";

interface ViewProgress {
  view: View;
  step: number;
  total_steps: number;
  percentage: number;
}

/** A job as the contract shows it. `base` is the address that the client knows this server by. */
export async function showJob(
  { id, data, created_at, updated_at }: ViewJob,
  base: string,
  context: ServerContext,
): Promise<object> {
  const address = async (name: "original" | View, key: string, drawnBy = "") =>
    (await context.storage.address(key)) ?? `${base}/media/jobs/${id}/${name}?key=${data.secret}${drawnBy}`;
  const picture = async (view: View) => {
    const part = data.parts?.[view];
    // A picture that was drawn anew has another address: browsers have kept the old one.
    return part?.done ? await address(view, `${pictureKey(id, view)}.jpg`, `&v=${part.job.slice(-8)}`) : null;
  };
  const [original, rear, side] = [await address("original", data.original.key), await picture("rear"), await picture("side")];
  return {
    id,
    user: data.user,
    region: data.region,
    scenario: data.scenario,
    status: data.status,
    message: data.message,
    original_image: original,
    original_image_url: original,
    simulation1_image: rear,
    simulation1_url: rear,
    simulation2_image: side,
    simulation2_url: side,
    selected_simulation: data.selected,
    is_favorite: data.favorite,
    created_at: created_at.toISOString(),
    updated_at: updated_at.toISOString(),
    error: data.error,
    progress: progressOf(data, context),
    pose_found: data.pose_found,
    warnings: data.warnings,
  };
}

/** Of the view that is being drawn; of the one further on while both are. */
function progressOf({ parts, open }: ViewJob["data"], { jobs }: ServerContext): ViewProgress | null {
  let furthest: ViewProgress | null = null;
  for (const view of VIEWS) {
    const progress = open && parts && !parts[view].done ? jobs.progressOf(parts[view].job) : undefined;
    const shown = progress && showProgress(view, progress);
    if (shown && shown.percentage >= (furthest?.percentage ?? 0)) furthest = shown;
  }
  return furthest;
}

/** Progress as the contract shows it. None while the model is loaded: how many steps a photo leaves is not known yet. */
export function showProgress(view: View, { phase, step, total_steps, percent }: JobProgress): ViewProgress | undefined {
  return phase === "loading" ? undefined : { view, step, total_steps, percentage: percent };
}
