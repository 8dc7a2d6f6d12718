import { useCallback, useEffect, useState } from "react";
import { INITIAL_SETTINGS, readSettings, type Settings } from "./settings.ts";

const KEY = "kiln.settings.1";

/** Typing must not write to the disk at every letter. */
const SAVE_AFTER_MILLISECONDS = 400;

export interface SettingsStore {
  readonly settings: Settings;
  readonly change: (part: Partial<Settings>) => void;
  readonly replace: (settings: Settings) => void;
}

/** The form's values, kept in the browser between visits. */
export function useSettings(): SettingsStore {
  const [settings, replace] = useState(load);

  useEffect(() => {
    const timer = setTimeout(() => save(settings), SAVE_AFTER_MILLISECONDS);
    const saveNow = (): void => save(settings);
    addEventListener("pagehide", saveNow);
    return () => {
      clearTimeout(timer);
      removeEventListener("pagehide", saveNow);
    };
  }, [settings]);

  const change = useCallback((part: Partial<Settings>) => replace((before) => ({ ...before, ...part })), []);
  return { settings, change, replace };
}

function load(): Settings {
  try {
    return readSettings(JSON.parse(localStorage.getItem(KEY) ?? "null"));
  } catch {
    return INITIAL_SETTINGS;
  }
}

function save(settings: Settings): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // Storage is full or forbidden: the form works on, for this visit only.
  }
}
