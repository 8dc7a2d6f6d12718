import type { Job, Picture } from "../../api/types.ts";
import { Card } from "./card.tsx";
import type { Jobs } from "./use-jobs.ts";
import "./recent.css";

export interface RecentProps {
  readonly jobs: Jobs;
  readonly onShow: (job: Job) => void;
  readonly onReuse: (job: Job, picture: Picture | undefined) => void;
  readonly onUseAsImage: (picture: Picture) => void;
  readonly onFavorite: (job: Job, favorite: boolean) => void;
  readonly onRemove: (job: Job) => void;
  readonly onOlder: () => void;
}

/** The pictures of before, newest first. */
export function Recent({ jobs, onOlder, ...actions }: RecentProps) {
  const { state, favoritesOnly, shown } = jobs;
  // A heart taken back leaves the favourites at once, except from the stage.
  const listed = favoritesOnly ? state.jobs.filter((job) => job.favorite) : state.jobs;
  return (
    <section className="recent" aria-labelledby="recent-title">
      <div className="recent-head">
        <h2 id="recent-title">Recent</h2>
        <label className="switch">
          <input type="checkbox" checked={favoritesOnly} onChange={(event) => jobs.setFavoritesOnly(event.target.checked)} />
          Favourites only
        </label>
      </div>
      {listed.length === 0 && state.loaded && (
        <p className="recent-empty">
          {favoritesOnly ? "No favourites yet. The heart under a picture makes one." : "Pictures that you make are kept here."}
        </p>
      )}
      <ul className="recent-grid">
        {listed.map((job) => (
          <li key={job.id}>
            <Card job={job} live={state.live.get(job.id)} shown={job.id === shown?.id} {...actions} />
          </li>
        ))}
      </ul>
      {state.next !== undefined && (
        <button type="button" className="button recent-older" onClick={onOlder}>
          Show older
        </button>
      )}
    </section>
  );
}
