import type { Logger } from "pino";
import { type Closer, closeParts } from "./close-parts.ts";
import { devicesOf, startEngine } from "./engine/start-engine.ts";
import type { ServerContext } from "./http/dialect.ts";
import { FrontDoor } from "./http/front-door.ts";
import { makeLog } from "./metrics/log.ts";
import type { Listener } from "./settings/listen.ts";
import type { Settings } from "./settings/schema.ts";

export interface RunningServer {
  /** The addresses that are listened on; none for a worker alone. */
  listeners: { url: string; dialect: string }[];
  /** For faces and commands that work inside the process. */
  context: ServerContext;
  /** Stops accepting, hands running jobs back after the drain time, closes everything; what does not close is left behind. */
  close(): Promise<void>;
}

export interface StartOptions {
  log?: Logger;
}

/**
 * Starts the service as the settings say. The doors open first and the engine's process starts beside them; the rest of
 * the program is loaded only then, so that a browser has the page while the database opens.
 * Raises an Error whose message names what stands in the way.
 */
export async function startServer(settings: Settings, options: StartOptions = {}): Promise<RunningServer> {
  const log = options.log ?? makeLog(settings);
  const closers: Closer[] = [];
  const entrances: Closer[] = [];
  const close = async () => {
    // Nobody is let in any more before the rest is taken apart.
    await closeParts([...closers.splice(0), ...entrances.splice(0)].reverse(), settings.KILN_DRAIN_SECONDS, log);
  };
  try {
    const doors: FrontDoor[] = [];
    for (const listener of listenersOf(settings)) {
      const door = await FrontDoor.open(listener, settings);
      entrances.push(() => door.close());
      doors.push(door);
    }
    let onDeath = () => {};
    const devices = settings.KILN_ROLE === "gateway" ? [] : devicesOf(settings);
    const engines = devices.map((device) => startEngine(settings, device, log, () => onDeath(), closers));
    const { startService } = await import("./service.ts");
    const context = await startService({
      settings,
      log,
      doors,
      engines,
      closers,
      entrances,
      onEngineDeath(listener) {
        onDeath = listener;
      },
    });
    return { listeners: doors.map(({ url, listener }) => ({ url, dialect: listener.dialect })), context, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function listenersOf(settings: Settings): Listener[] {
  if (settings.KILN_ROLE === "worker") return [];
  const depth: Listener[] =
    settings.MODEL_SERVER_PORT === undefined
      ? []
      : [{ host: settings.MODEL_SERVER_HOST ?? "127.0.0.1", port: settings.MODEL_SERVER_PORT, dialect: "depth" }];
  const vast: Listener[] =
    settings.WORKER_PORT === undefined ? [] : [{ host: "0.0.0.0", port: settings.WORKER_PORT, dialect: "vast" }];
  return [...settings.KILN_LISTEN, ...depth, ...vast];
}
