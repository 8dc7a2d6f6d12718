import type { Value } from "../../graph/graph.ts";

/** An input that the op cannot be without; throws where it is missing (a bug in Kiln, never a user's). */
export function one(value: Value | undefined): Value {
  if (!value) throw new Error("an op lacks an input");
  return value;
}

/** The first three inputs. */
export function three(values: readonly Value[]): readonly [Value, Value, Value] {
  return [one(values[0]), one(values[1]), one(values[2])];
}
