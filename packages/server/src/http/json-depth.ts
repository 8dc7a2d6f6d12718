/** Deeper than any request of any contract; what recurses over a body would end the stack some thousands deep. */
export const MAX_JSON_DEPTH = 100;

/** Whether objects and lists lie in each other deeper than a limit. Does not recurse. */
export function nestsDeeperThan(limit: number, value: unknown): boolean {
  let level: object[] = isNest(value) ? [value] : [];
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > limit) return true;
    level = level.flatMap((nest): object[] => (Array.isArray(nest) ? nest : Object.values(nest)).filter(isNest));
  }
  return false;
}

function isNest(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
