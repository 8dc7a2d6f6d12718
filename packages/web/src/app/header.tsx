import type { System } from "../api/types.ts";
import { KilnIcon } from "../design/icons.tsx";
import { ThemeSwitch } from "../features/theme/theme-switch.tsx";

interface HeaderProps {
  readonly system: System | undefined;
  readonly lost: boolean;
}

export function Header({ system, lost }: HeaderProps) {
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
            <span>{queueInWords(system)}</span>
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

function queueInWords({ waiting, running }: System): string {
  if (waiting === 0 && running === 0) return "Idle";
  const drawing = running > 0 ? `${running} drawing` : "";
  const queued = waiting > 0 ? `${waiting} waiting` : "";
  return [drawing, queued].filter((part) => part !== "").join(", ");
}
