import { useState } from "react";
import { isFinished, type Job, type Picture } from "../../api/types.ts";
import type { Live } from "../history/jobs-state.ts";
import { Caption } from "./caption.tsx";
import { Chamber } from "./chamber.tsx";
import { Filmstrip } from "./filmstrip.tsx";
import { ProgressLine } from "./progress-line.tsx";
import "./stage.css";

export interface StageActions {
  readonly onAgain: (job: Job) => void;
  readonly onReuse: (job: Job, picture: Picture | undefined) => void;
  readonly onUseAsImage: (picture: Picture) => void;
  readonly onFavorite: (job: Job, favorite: boolean) => void;
  readonly onRemove: (job: Job) => void;
  readonly onCancel: (job: Job) => void;
}

interface StageProps extends StageActions {
  readonly job: Job;
  readonly live: Live | undefined;
}

/** One job, large: its picture as it forms, or as it is, with all that belongs to it. */
export function Stage({ job, live, ...actions }: StageProps) {
  const [chosen, setChosen] = useState({ jobId: job.id, index: 0 });
  // Another job on the stage starts at its first picture.
  const index = chosen.jobId === job.id ? chosen.index : 0;
  const count = Math.max(job.images.length, job.request.n ?? 1);
  const progress = live?.progress ?? job.progress;
  return (
    <section className="stage" aria-label="Picture">
      <Chamber job={job} index={index} previews={live?.previews} progress={progress} />
      {!isFinished(job) && <ProgressLine job={job} progress={progress} />}
      {count > 1 && (job.images.length > 0 || !isFinished(job)) && (
        <Filmstrip
          job={job}
          count={count}
          index={index}
          previews={live?.previews}
          onChoose={(next) => setChosen({ jobId: job.id, index: next })}
        />
      )}
      <Caption job={job} picture={job.images[index]} actions={actions} />
    </section>
  );
}
