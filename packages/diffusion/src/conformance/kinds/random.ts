import { elementCount } from "../../checkpoint/views.ts";
import { createRandom, type RandomKind } from "../../index.ts";
import type { CaseKind } from "../attempt.ts";
import type { Produced } from "../comparison.ts";
import { Fields, oneOf } from "../fields.ts";

const TYPES = ["float32", "float16", "bfloat16", "float64"] as const;
const GENERATORS: readonly RandomKind[] = ["torch-cpu", "philox"];

/** `shapes` drawn one after the other from one generator. */
export const random: CaseKind = (file) => {
  const meta = new Fields(file.meta);
  const generator = oneOf("generator", GENERATORS, meta.text("generator"));
  const type = oneOf("dtype", TYPES, meta.text("dtype"));
  const seed = BigInt(meta.text("seed"));
  const shapes = meta.any("shapes");
  if (!isShapes(shapes)) throw new Error("shapes should be lists of sizes");
  const make = async (): Promise<Record<string, Produced>> => {
    const source = createRandom(generator, seed);
    const draws = shapes.map((shape, i): [string, Produced] => {
      const count = elementCount(shape);
      return [`draw.${i}`, { shape, data: source.normal(count, type) }];
    });
    return Object.fromEntries(draws);
  };
  return [{ label: generator, make }];
};

function isShapes(value: unknown): value is readonly (readonly number[])[] {
  return Array.isArray(value) && value.every((shape) => Array.isArray(shape) && shape.every((size) => typeof size === "number"));
}
