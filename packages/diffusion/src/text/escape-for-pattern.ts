/** A text as a pattern that matches it alone, with or without the flag `u`. */
export function escapeForPattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
