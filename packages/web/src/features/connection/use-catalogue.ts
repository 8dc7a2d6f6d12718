import { useEffect, useState } from "react";
import { listModels, listSchedulers } from "../../api/client.ts";
import type { Model, Scheduler } from "../../api/types.ts";
import type { Connection } from "./use-connection.ts";

export interface Catalogue {
  /** Checkpoints only: what a picture can be drawn with. */
  readonly models: readonly Model[];
  readonly schedulers: readonly Scheduler[];
  /** The connection's epoch that this was read in; undefined before the first answer. */
  readonly epoch: number | undefined;
}

const NOTHING: Catalogue = { models: [], schedulers: [], epoch: undefined };

/** What the service can draw with; read again when it comes back after a loss, as it may have been restarted with other models. */
export function useCatalogue({ epoch, report }: Connection): Catalogue {
  const [catalogue, setCatalogue] = useState(NOTHING);

  useEffect(() => {
    let stopped = false;
    Promise.all([listModels(), listSchedulers()]).then(([models, schedulers]) => {
      if (!stopped) setCatalogue({ models: models.filter((model) => model.kind === "checkpoint"), schedulers, epoch });
    }, report);
    return () => {
      stopped = true;
    };
  }, [epoch, report]);

  return catalogue;
}
