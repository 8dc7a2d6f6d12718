import { KilnError } from "../errors.ts";
import type { JsonObject } from "./json.ts";

/** No published network has more levels, layers or channels than these; larger numbers would only serve to exhaust memory. */
const MAX_LEVELS = 16;
const MAX_NUMBER = 1 << 20;

/**
 * Reads typed fields out of a `config.json`, with diffusers' default where a field is not written.
 * Everything that is not as expected is a KilnError that names file and field.
 */
export class ConfigReader {
  readonly file: string;
  readonly #json: JsonObject;

  constructor(json: JsonObject, file: string) {
    this.#json = json;
    this.file = file;
  }

  /** The value of a field: absent counts as `undefined`, `null` stays. Only the object's own fields are looked at. */
  raw(field: string): unknown {
    return Object.hasOwn(this.#json, field) ? this.#json[field] : undefined;
  }

  /** A whole number from 1 on (or from `least`). */
  count(field: string, fallback?: number, least = 1): number {
    const value = this.raw(field) ?? fallback;
    if (!isCount(value, least)) throw this.bad(field, `a whole number of at least ${least}`);
    return value;
  }

  countOrNull(field: string): number | null {
    return (this.raw(field) ?? null) === null ? null : this.count(field);
  }

  number(field: string, fallback?: number): number {
    const value = this.raw(field) ?? fallback;
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.bad(field, "a number");
    return value;
  }

  numberOrNull(field: string): number | null {
    return (this.raw(field) ?? null) === null ? null : this.number(field);
  }

  flag(field: string, fallback: boolean): boolean {
    const value = this.raw(field) ?? fallback;
    if (typeof value !== "boolean") throw this.bad(field, "true or false");
    return value;
  }

  /** One of some words. Another word is well formed but not implemented here. */
  oneOf<T extends string>(field: string, words: readonly T[], fallback?: T): T {
    const value = this.raw(field) ?? fallback;
    if (typeof value !== "string") throw this.bad(field, "a text");
    const found = words.find((word) => word === value);
    if (found === undefined) throw this.unsupported(field, value);
    return found;
  }

  listOf<T extends string>(field: string, words: readonly T[], fallback?: readonly T[]): readonly T[] {
    const value = this.raw(field) ?? fallback;
    if (!Array.isArray(value) || value.length === 0 || value.length > MAX_LEVELS) throw this.bad(field, "a list of block types");
    return value.map((item: unknown) => {
      const found = words.find((word) => word === item);
      if (found === undefined) throw this.unsupported(field, item);
      return found;
    });
  }

  counts(field: string, fallback?: readonly number[]): readonly number[] {
    const value: unknown = this.raw(field) ?? fallback;
    if (!Array.isArray(value) || value.length === 0 || value.length > MAX_LEVELS || !value.every((item) => isCount(item, 1))) {
      throw this.bad(field, "a list of whole numbers");
    }
    return value;
  }

  /** A number for all levels, or a list with one for each. */
  countsPerLevel(field: string, levels: number, fallback?: number): readonly number[] {
    const value = this.raw(field) ?? fallback;
    if (Array.isArray(value)) {
      if (value.some((item) => Array.isArray(item))) throw this.unsupported(field, "a list inside a list");
      const list = this.counts(field);
      if (list.length !== levels) throw this.bad(field, `a list of ${levels} numbers, one for each block`);
      return list;
    }
    return Array.from({ length: levels }, () => this.count(field, fallback));
  }

  numbersOrNull(field: string, length: number): readonly number[] | null {
    const value: unknown = this.raw(field) ?? null;
    if (value === null) return null;
    if (
      !Array.isArray(value) ||
      value.length !== length ||
      !value.every((item) => typeof item === "number" && Number.isFinite(item))
    ) {
      throw this.bad(field, `a list of ${length} numbers`);
    }
    return value;
  }

  /** Refuses every listed field that has a value other than the ones that mean "not used". */
  requireUnused(allowed: Readonly<Record<string, readonly unknown[]>>): void {
    for (const [field, values] of Object.entries(allowed)) {
      const value = this.raw(field) ?? null;
      if (value !== null && !values.includes(value)) throw this.unsupported(field, value);
    }
  }

  bad(field: string, expected: string): KilnError {
    const value = JSON.stringify(this.raw(field))?.slice(0, 80) ?? "nothing";
    const message = `${this.file}: the field ${field} must be ${expected} and is ${value}. Download the file again or correct it.`;
    return new KilnError("file_corrupt", message, { subject: this.file });
  }

  unsupported(field: string, value: unknown): KilnError {
    const shown = JSON.stringify(value)?.slice(0, 80) ?? "nothing";
    const message = `${this.file}: Kiln's networks do not implement ${field} = ${shown}, so this model cannot be run: use another one.`;
    return new KilnError("file_unsupported", message, { subject: this.file });
  }
}

function isCount(value: unknown, least: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= least && value <= MAX_NUMBER;
}
