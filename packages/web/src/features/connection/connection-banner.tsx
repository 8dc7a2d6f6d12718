import type { Connection } from "./use-connection.ts";
import "./connection-banner.css";

/** Says that the service is away, or why it refuses; it goes as soon as that is over. */
export function ConnectionBanner({ lost, refusal }: Connection) {
  return (
    <div role="alert">
      {lost && (
        <p className="connection-banner">
          The service does not answer. What was accepted is kept; the page goes on by itself when the service is back.
        </p>
      )}
      {!lost && refusal !== undefined && <p className="connection-banner">{refusal}</p>}
    </div>
  );
}
