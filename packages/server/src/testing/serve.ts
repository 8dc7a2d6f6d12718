/** A server as a process of its own, for tests that kill it. Settings come from the environment; it says where it listens. */
import { closeOnSignals } from "../close-on-signals.ts";
import { startServer } from "../server.ts";
import { loadSettings } from "../settings/load.ts";

const server = await startServer(loadSettings(process.env, "/"));
process.send?.({ url: server.listeners[0]?.url ?? "", engine: server.context.supervisor?.pid });
await closeOnSignals(server);
process.exit(0);
