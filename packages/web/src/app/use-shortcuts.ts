import { useEffect, useRef } from "react";

/** Ctrl+Enter or Cmd+Enter generates, from anywhere on the page; Escape cancels what is being made. */
export function useShortcuts(generate: () => void, cancel: (() => void) | undefined): void {
  const current = useRef({ generate, cancel });
  useEffect(() => {
    current.current = { generate, cancel };
  });
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.isComposing || event.repeat) return;
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        current.current.generate();
      } else if (event.key === "Escape") {
        current.current.cancel?.();
      }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}
