import type { TensorView, Weights } from "../tensor-view.ts";

/** Tensors of one network under our names, and the names of those that found no place. */
export interface Renamed {
  readonly weights: Weights;
  readonly unknown: readonly string[];
}

/** Replaces the longest leading part of a dotted name that the table has; undefined where it has none. */
export function replacePrefix(name: string, table: ReadonlyMap<string, string>): string | undefined {
  for (let end = name.length; end > 0; end = name.lastIndexOf(".", end - 1)) {
    const found = table.get(name.slice(0, end));
    if (found !== undefined) return found + name.slice(end);
  }
  return undefined;
}

/** The tensors whose names begin with `prefix`, without it. */
export function underPrefix(tensors: Weights, prefix: string): Map<string, TensorView> {
  const found = new Map<string, TensorView>();
  for (const [name, view] of tensors) if (name.startsWith(prefix)) found.set(name.slice(prefix.length), view);
  return found;
}

/** The numbers that stand at a place in names: `indexesAfter(names, "input_blocks.")` of `input_blocks.3.0.op.weight` has 3. Sorted. */
export function indexesAfter(names: Iterable<string>, prefix: string): number[] {
  const found = new Set<number>();
  for (const name of names) {
    if (!name.startsWith(prefix)) continue;
    const text = /^\d{1,3}(?=\.|$)/.exec(name.slice(prefix.length))?.[0];
    if (text !== undefined) found.add(Number(text));
  }
  return [...found].sort((a, b) => a - b);
}
