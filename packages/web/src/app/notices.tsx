import type { Job } from "../api/types.ts";
import type { Notice } from "./use-notice.ts";

interface NoticesProps {
  readonly notice: Notice;
  readonly removed: Job | undefined;
  readonly onRestore: () => void;
}

/** The foot of the page: a sentence that goes by itself, and the offer to undo a deletion. */
export function Notices({ notice, removed, onRestore }: NoticesProps) {
  return (
    <div className="notices" role="status">
      {notice.text !== undefined && (
        <div className="notice">
          <span>{notice.text}</span>
          <button type="button" className="link-button" onClick={notice.dismiss}>
            Close
          </button>
        </div>
      )}
      {removed !== undefined && (
        <div className="notice">
          <span>{removed.images.length > 1 ? `${removed.images.length} pictures deleted.` : "Deleted."}</span>
          <button type="button" className="link-button" onClick={onRestore}>
            Undo
          </button>
        </div>
      )}
    </div>
  );
}
