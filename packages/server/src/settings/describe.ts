import { SETTINGS, type SettingName, type Settings } from "./schema.ts";

export interface SettingDescription {
  name: SettingName;
  about: string;
  default: string | undefined;
  /** The value in force as JSON; a secret's is only said to be set. */
  value: string | undefined;
  secret: boolean;
}

/** Every setting with its meaning, its default and, given settings, its value. What `kiln config` prints. */
export function describeSettings(settings?: Settings): SettingDescription[] {
  return (Object.keys(SETTINGS) as SettingName[]).map((name) => {
    const { about, default: fallback, secret } = SETTINGS[name];
    const value = settings?.[name];
    const shown = value === undefined ? undefined : secret ? "(set)" : JSON.stringify(value);
    return { name, about, default: fallback, value: shown, secret };
  });
}
