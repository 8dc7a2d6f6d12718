import "./connection-banner.css";

/** Says that the service is away; it goes as soon as the service is back. */
export function ConnectionBanner({ lost }: { readonly lost: boolean }) {
  return (
    <div role="status" aria-live="assertive">
      {lost && (
        <p className="connection-banner">
          The service does not answer. What was accepted is kept; the page goes on by itself when the service is back.
        </p>
      )}
    </div>
  );
}
