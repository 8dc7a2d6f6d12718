import { useState } from "react";
import { IconButton } from "../../design/controls/icon-button.tsx";
import { MoonIcon, SunIcon, SystemThemeIcon } from "../../design/icons.tsx";

/** public/theme.js reads the same key before the first paint. */
const KEY = "kiln.theme";

type Theme = "system" | "light" | "dark";

const NEXT: Readonly<Record<Theme, Theme>> = { system: "light", light: "dark", dark: "system" };
const NAMES: Readonly<Record<Theme, string>> = { system: "as the system", light: "light", dark: "dark" };
const ICONS = { system: <SystemThemeIcon />, light: <SunIcon />, dark: <MoonIcon /> } as const;

/** Goes round light, dark and the system's own. */
export function ThemeSwitch() {
  const [theme, setTheme] = useState(chosenTheme);
  const turn = (): void => {
    const next = NEXT[theme];
    setTheme(next);
    apply(next);
  };
  return <IconButton label={`Theme: ${NAMES[theme]}. Change to ${NAMES[NEXT[theme]]}`} icon={ICONS[theme]} onPress={turn} />;
}

function chosenTheme(): Theme {
  const { theme } = document.documentElement.dataset;
  return theme === "light" || theme === "dark" ? theme : "system";
}

function apply(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    if (theme === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // Storage is forbidden: the choice holds for this visit.
  }
}
