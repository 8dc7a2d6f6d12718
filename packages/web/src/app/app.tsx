import { useRef } from "react";
import { ComposeForm } from "../features/compose/compose-form.tsx";
import { useSettings } from "../features/compose/use-settings.ts";
import { examplePrompts } from "../features/compose/word-groups.ts";
import { ConnectionBanner } from "../features/connection/connection-banner.tsx";
import { useCatalogue } from "../features/connection/use-catalogue.ts";
import { useConnection } from "../features/connection/use-connection.ts";
import { Recent } from "../features/history/recent.tsx";
import { useJobs } from "../features/history/use-jobs.ts";
import { EmptyStage } from "../features/stage/empty-stage.tsx";
import { Stage } from "../features/stage/stage.tsx";
import { Announcer } from "./announcer.tsx";
import { Header } from "./header.tsx";
import { Notices } from "./notices.tsx";
import { useFreshQueue } from "./use-fresh-queue.ts";
import { useNotice } from "./use-notice.ts";
import { useShortcuts } from "./use-shortcuts.ts";
import { useStudio } from "./use-studio.ts";
import { useTitle } from "./use-title.ts";
import "./app.css";

/** The page: what to make on the one side, what was made on the other. */
export function App() {
  const prompt = useRef<HTMLTextAreaElement>(null);
  const stage = useRef<HTMLElement>(null);
  const connection = useConnection();
  const catalogue = useCatalogue(connection);
  const store = useSettings();
  const notice = useNotice(connection.report);
  const jobs = useJobs(connection, notice.fail);
  const studio = useStudio({ store, catalogue, connection, jobs, notice, prompt, stage });
  const { shown } = jobs;
  const live = shown === undefined ? undefined : jobs.state.live.get(shown.id);
  useFreshQueue(jobs, connection.look);
  useShortcuts(studio.generate, studio.cancel);
  useTitle(shown, live?.progress ?? shown?.progress);

  return (
    <div className="app">
      <Header
        system={connection.system}
        lost={connection.lost}
        drawing={jobs.state.jobs.filter((job) => job.status === "running").length}
      />
      <ConnectionBanner {...connection} />
      <div className="app-columns">
        <aside className="app-compose" aria-label="What to make">
          <ComposeForm
            {...{ store, prompt }}
            {...catalogue}
            model={studio.model}
            source={studio.source}
            problem={studio.problem}
            sending={studio.sending}
            onSubmit={studio.generate}
            onUseParameters={studio.useParameters}
            onCancel={studio.cancel}
          />
        </aside>
        <main className="app-main" ref={stage}>
          {shown === undefined ? (
            <EmptyStage
              examples={studio.model === undefined ? [] : examplePrompts(studio.model.words)}
              onExample={studio.tryExample}
            />
          ) : (
            <Stage job={shown} live={live} {...studio.actions} />
          )}
          <Recent jobs={jobs} onShow={studio.show} onOlder={studio.showOlder} {...studio.actions} />
        </main>
      </div>
      <Notices notice={notice} removed={jobs.state.removed} onRestore={jobs.restore} />
      {studio.source.hovering && <div className="drop-veil">Drop the picture to start from it</div>}
      <Announcer job={shown} progress={live?.progress ?? shown?.progress} />
    </div>
  );
}
