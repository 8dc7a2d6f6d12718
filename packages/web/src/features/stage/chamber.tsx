import { useState } from "react";
import { isFinished, type Job, type Progress } from "../../api/types.ts";

interface ChamberProps {
  readonly job: Job;
  readonly index: number;
  readonly previews: ReadonlyMap<number, string> | undefined;
  readonly progress: Progress | undefined;
}

/** Where the picture forms: warm while it is made, cool when it is done. */
export function Chamber({ job, index, previews, progress }: ChamberProps) {
  const picture = job.images[index];
  const preview = previews?.get(index);
  const width = picture?.width ?? job.request.width ?? 1;
  const height = picture?.height ?? job.request.height ?? 1;
  const heat = isFinished(job) ? 0 : 0.4 + (0.6 * (progress?.percent ?? 0)) / 100;
  return (
    <div className={`chamber chamber-${job.status}`} style={{ "--heat": heat }}>
      <div className="frame" style={{ "--ratio": width / height }}>
        {preview !== undefined && <img className="frame-preview" src={preview} alt="" />}
        {preview === undefined && !isFinished(job) && <div className="frame-waiting" />}
        {picture !== undefined && (
          <FinishedPicture key={picture.id} url={picture.url} prompt={job.request.prompt} width={width} height={height} />
        )}
        {picture === undefined && isFinished(job) && preview === undefined && <div className="frame-empty" />}
      </div>
      <Outcome job={job} />
    </div>
  );
}

interface FinishedPictureProps {
  readonly url: string;
  readonly prompt: string;
  readonly width: number;
  readonly height: number;
}

/** Fades in over the last preview once its bytes are there, so that no half picture shows. */
function FinishedPicture({ url, prompt, width, height }: FinishedPictureProps) {
  const [state, setState] = useState<"loading" | "shown" | "missing">("loading");
  return (
    <>
      <img
        className={`frame-picture frame-${state}`}
        src={url}
        alt={prompt}
        width={width}
        height={height}
        onLoad={() => setState("shown")}
        onError={() => setState("missing")}
      />
      {state === "missing" && <p className="frame-note">The picture's file cannot be read from the service.</p>}
    </>
  );
}

function Outcome({ job }: { readonly job: Job }) {
  if (job.status === "failed") {
    return (
      <p className="outcome outcome-failed" role="alert">
        {job.error ?? "The picture could not be made, and the service gives no reason. Its log says more."}
      </p>
    );
  }
  return job.status === "cancelled" ? <p className="outcome">Cancelled before it was finished.</p> : null;
}
