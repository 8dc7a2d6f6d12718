/** The JSON object of a case, read field by field: what is asked for is checked, and what nobody asked for can be refused. */
export class Fields {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #taken = new Set<string>();

  constructor(values: unknown) {
    if (!isRecord(values)) throw new Error(`${JSON.stringify(values)} should be a JSON object`);
    this.#values = values;
  }

  /** The value as it is; undefined where it is absent or null, which mean the same in these files. */
  any(name: string): unknown {
    this.#taken.add(name);
    return this.#values[name] ?? undefined;
  }

  text(name: string): string {
    return required(name, this.optionalText(name));
  }

  optionalText(name: string): string | undefined {
    return this.#optional(name, "a text", (value) => typeof value === "string");
  }

  number(name: string): number {
    return required(name, this.optionalNumber(name));
  }

  optionalNumber(name: string): number | undefined {
    return this.#optional(name, "a number", (value) => typeof value === "number");
  }

  flag(name: string): boolean {
    return this.#optional(name, "true or false", (value) => typeof value === "boolean") ?? false;
  }

  numbers(name: string): readonly number[] {
    return required(name, this.optionalNumbers(name));
  }

  optionalNumbers(name: string): readonly number[] | undefined {
    return this.#optional(name, "a list of numbers", isNumbers);
  }

  optionalPair(name: string): readonly [number, number] | undefined {
    return this.#optional(name, "two numbers", isPair);
  }

  texts(name: string): readonly string[] {
    return required(name, this.optionalTexts(name));
  }

  optionalTexts(name: string): readonly string[] | undefined {
    return this.#optional(name, "a list of texts", isTexts);
  }

  /** An object of its own; an empty one where it is absent. */
  object(name: string): Fields {
    return new Fields(this.any(name) ?? {});
  }

  objects(name: string): readonly Fields[] {
    const value = this.any(name) ?? [];
    return (Array.isArray(value) ? value : [value]).map((item) => new Fields(item));
  }

  /** The whole object as it stands. */
  record(): Readonly<Record<string, unknown>> {
    return this.#values;
  }

  /** @throws Error naming the fields that nobody has asked for. */
  refuseOthers(what: string): void {
    const others = Object.keys(this.#values).filter((name) => !this.#taken.has(name) && this.#values[name] !== null);
    if (others.length > 0) throw new Error(`${what} has fields that the runner does not know: ${others.join(", ")}`);
  }

  #optional<T>(name: string, what: string, check: (value: unknown) => value is T): T | undefined {
    const value = this.any(name);
    if (value === undefined) return undefined;
    if (!check(value)) throw new Error(`${name} should be ${what}, not ${JSON.stringify(value)}`);
    return value;
  }
}

function required<T>(name: string, value: T | undefined): T {
  if (value === undefined) throw new Error(`the case has no ${name}`);
  return value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => typeof item === "number");
}

function isPair(value: unknown): value is readonly [number, number] {
  return isNumbers(value) && value.length === 2;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

/** The one of `known` that a text names. */
export function oneOf<T extends string>(what: string, known: readonly T[], value: string): T {
  const found = known.find((item) => item === value);
  if (found === undefined) throw new Error(`there is no ${what} ${value}: take one of ${known.join(", ")}`);
  return found;
}
