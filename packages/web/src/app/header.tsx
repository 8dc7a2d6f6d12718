import type { System } from "../api/types.ts";
import { KilnIcon } from "../design/icons.tsx";
import { ThemeSwitch } from "../features/theme/theme-switch.tsx";

interface HeaderProps {
  readonly system: System | undefined;
  readonly lost: boolean;
  /** Jobs of this page that are being drawn: known sooner here than to the service's own count. */
  readonly drawing: number;
}

export function Header({ system, lost, drawing }: HeaderProps) {
  return (
    <header className="header">
      <h1 className="wordmark">
        <KilnIcon />
        Kiln
      </h1>
      <p className="header-state">
        {lost && "Not connected"}
        {!lost && system !== undefined && (
          <>
            <span>{queueInWords(system.waiting, Math.max(drawing, system.running))}</span>
            <span className="header-device">{[system.device, system.precision].filter((word) => word !== "").join(", ")}</span>
          </>
        )}
      </p>
      <nav className="header-links" aria-label="More">
        <a href="/docs">API</a>
      </nav>
      <ThemeSwitch />
    </header>
  );
}

function queueInWords(waiting: number, running: number): string {
  if (waiting === 0 && running === 0) return "Idle";
  const drawn = running > 0 ? `${running} drawing` : "";
  const queued = waiting > 0 ? `${waiting} waiting` : "";
  return [drawn, queued].filter((part) => part !== "").join(", ");
}
