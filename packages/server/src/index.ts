export { closeOnSignals } from "./close-on-signals.ts";
export { ServiceError, type ServiceErrorCode } from "./errors.ts";
export type { Dialect, ServerContext } from "./http/dialect.ts";
export type { JobView } from "./jobs/job-view.ts";
export type { GenerationRequest, GenerationRequestInput } from "./jobs/request.ts";
export { type RunningServer, type StartOptions, startServer } from "./server.ts";
export { describeSettings, type SettingDescription } from "./settings/describe.ts";
export { loadSettings, SettingsError } from "./settings/load.ts";
export { SETTINGS, type SettingName, type Settings } from "./settings/schema.ts";
