import { isFinished, type Job, type Picture } from "../../api/types.ts";
import { IconButton } from "../../design/controls/icon-button.tsx";
import { DownloadIcon, FromPictureIcon, HeartIcon, ReuseIcon, TrashIcon } from "../../design/icons.tsx";
import { downloadName } from "../stage/parameters.ts";
import { progressWords } from "../stage/progress-words.ts";
import type { Live } from "./jobs-state.ts";

interface CardProps {
  readonly job: Job;
  readonly live: Live | undefined;
  readonly shown: boolean;
  readonly onShow: (job: Job) => void;
  readonly onReuse: (job: Job, picture: Picture | undefined) => void;
  readonly onUseAsImage: (picture: Picture) => void;
  readonly onFavorite: (job: Job, favorite: boolean) => void;
  readonly onRemove: (job: Job) => void;
}

/** One job in the list: a press puts it on the stage; its actions come with the pointer or the keyboard's focus. */
export function Card({ job, live, shown, onShow, ...actions }: CardProps) {
  const picture = job.images[0];
  const source = picture?.thumbnailUrl ?? live?.previews.get(0);
  return (
    <article className={`card card-${job.status}`}>
      <button type="button" className="card-open" aria-current={shown ? "true" : undefined} onClick={() => onShow(job)}>
        <span className="card-picture">
          {source === undefined ? <span className="card-blank" /> : <img src={source} alt="" loading="lazy" />}
          {job.images.length > 1 && <span className="card-count">{job.images.length}</span>}
          {job.status !== "completed" && <span className="card-state">{stateWords(job, live)}</span>}
        </span>
        <span className="card-prompt">{job.request.prompt}</span>
        <span className="card-parameters">{briefly(job, picture)}</span>
      </button>
      <CardActions job={job} picture={picture} {...actions} />
    </article>
  );
}

type CardActionsProps = Omit<CardProps, "live" | "shown" | "onShow"> & { readonly picture: Picture | undefined };

function CardActions({ job, picture, onReuse, onUseAsImage, onFavorite, onRemove }: CardActionsProps) {
  return (
    <div className={job.favorite ? "card-actions card-favorite" : "card-actions"}>
      {picture !== undefined && (
        <IconButton
          label={job.favorite ? "Take from the favourites" : "Add to the favourites"}
          icon={<HeartIcon />}
          pressed={job.favorite}
          onPress={() => onFavorite(job, !job.favorite)}
        />
      )}
      <IconButton label="Use these settings" icon={<ReuseIcon />} onPress={() => onReuse(job, picture)} />
      {picture !== undefined && (
        <>
          <IconButton label="Use as image" icon={<FromPictureIcon />} onPress={() => onUseAsImage(picture)} />
          <a
            className="icon-button"
            href={picture.url}
            download={downloadName(job, picture)}
            aria-label="Download"
            title="Download"
          >
            <DownloadIcon />
          </a>
        </>
      )}
      {isFinished(job) && <IconButton label="Delete" icon={<TrashIcon />} onPress={() => onRemove(job)} />}
    </div>
  );
}

function stateWords(job: Job, live: Live | undefined): string {
  if (job.status === "failed") return "Failed";
  if (job.status === "cancelled") return "Cancelled";
  const progress = live?.progress ?? job.progress;
  return progress?.phase === "denoising" && job.status === "running"
    ? `${Math.round(progress.percent)} %`
    : progressWords(job, progress);
}

function briefly(job: Job, picture: Picture | undefined): string {
  const { steps, width, height } = job.request;
  const seed = picture?.seed ?? job.request.seed;
  return [
    width !== undefined && height !== undefined && `${width} × ${height}`,
    steps !== undefined && `${steps} steps`,
    seed !== undefined && `seed ${seed}`,
  ]
    .filter((part) => part !== false)
    .join(", ");
}
