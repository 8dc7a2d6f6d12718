/** An input that the op cannot be without; throws where it is missing (a bug in Kiln, never a user's). */
export function one<T>(input: T | undefined): T {
  if (input === undefined) throw new Error("an op lacks an input");
  return input;
}

/** The first three inputs. */
export function three<T>(inputs: readonly T[]): readonly [T, T, T] {
  return [one(inputs[0]), one(inputs[1]), one(inputs[2])];
}
