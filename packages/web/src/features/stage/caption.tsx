import type { ReactNode } from "react";
import { isFinished, type Job, type Picture } from "../../api/types.ts";
import { CloseIcon, DownloadIcon, FromPictureIcon, HeartIcon, ReuseIcon, TrashIcon } from "../../design/icons.tsx";
import { downloadName, parametersOf } from "./parameters.ts";
import type { StageActions } from "./stage.tsx";

interface CaptionProps {
  readonly job: Job;
  readonly picture: Picture | undefined;
  readonly actions: StageActions;
}

/** The words that the picture came from, its parameters, and what can be done with it. */
export function Caption({ job, picture, actions }: CaptionProps) {
  return (
    <div className="caption">
      <p className="caption-prompt">{job.request.prompt}</p>
      {job.request.negative_prompt !== undefined && job.request.negative_prompt !== "" && (
        <p className="caption-negative">without {job.request.negative_prompt}</p>
      )}
      {job.warnings.map((warning) => (
        <p key={warning} className="caption-warning">
          {warning}
        </p>
      ))}
      <dl className="parameters">
        {parametersOf(job, picture).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <div className="actions">
        {!isFinished(job) && (
          <Action icon={<CloseIcon />} onPress={() => actions.onCancel(job)}>
            Cancel
          </Action>
        )}
        {picture !== undefined && (
          <a className="action" href={picture.url} download={downloadName(job, picture)}>
            <DownloadIcon />
            Download
          </a>
        )}
        <Action icon={<ReuseIcon />} onPress={() => actions.onReuse(job, picture)}>
          Use these settings
        </Action>
        {picture !== undefined && (
          <Action icon={<FromPictureIcon />} onPress={() => actions.onUseAsImage(picture)}>
            Use as image
          </Action>
        )}
        {isFinished(job) && job.status !== "completed" && (
          <Action icon={<ReuseIcon />} onPress={() => actions.onAgain(job)}>
            Try again
          </Action>
        )}
        {picture !== undefined && (
          <Action icon={<HeartIcon />} pressed={job.favorite} onPress={() => actions.onFavorite(job, !job.favorite)}>
            Favourite
          </Action>
        )}
        {isFinished(job) && (
          <Action icon={<TrashIcon />} onPress={() => actions.onRemove(job)}>
            Delete
          </Action>
        )}
      </div>
    </div>
  );
}

interface ActionProps {
  readonly icon: ReactNode;
  readonly pressed?: boolean;
  readonly onPress: () => void;
  readonly children: ReactNode;
}

function Action({ icon, pressed, onPress, children }: ActionProps) {
  return (
    <button type="button" className="action" aria-pressed={pressed} onClick={onPress}>
      {icon}
      {children}
    </button>
  );
}
