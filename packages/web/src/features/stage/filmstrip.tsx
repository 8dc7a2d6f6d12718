import { useId } from "react";
import type { Job } from "../../api/types.ts";

interface FilmstripProps {
  readonly job: Job;
  readonly count: number;
  readonly index: number;
  readonly previews: ReadonlyMap<number, string> | undefined;
  readonly onChoose: (index: number) => void;
}

/** The pictures of one job, small; radio buttons underneath, so that the arrow keys walk through them. */
export function Filmstrip({ job, count, index, previews, onChoose }: FilmstripProps) {
  const name = useId();
  const places = [...Array(count).keys()];
  return (
    <fieldset className="filmstrip">
      <legend className="sr-only">Pictures of this request</legend>
      {places.map((place) => {
        const source = job.images[place]?.thumbnailUrl ?? previews?.get(place);
        return (
          <label key={place} className="film">
            <input type="radio" name={name} checked={place === index} onChange={() => onChoose(place)} />
            {source === undefined ? <span className="film-waiting" /> : <img src={source} alt="" />}
            <span className="sr-only">
              Picture {place + 1} of {count}
            </span>
          </label>
        );
      })}
    </fieldset>
  );
}
