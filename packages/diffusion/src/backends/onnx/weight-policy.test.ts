import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openSafetensors } from "../../checkpoint/safetensors.ts";
import type { StorageType, TensorView } from "../../checkpoint/tensor-view.ts";
import { writeSafetensors } from "../../checkpoint/write-safetensors.ts";
import { GraphBuilder } from "../../graph/builder.ts";
import { floatTensor } from "../../graph/tensor.ts";
import { onnxBackend } from "./onnx-backend.ts";
import { isHalved, isMapped, residentBytesOf, type WeightPolicy, weightBytesOf } from "./weight-policy.ts";

const IN = 24;
const OUT = 40;

/** Numbers that every type holds exactly: 1, 2, 0.5 with either sign. */
const CODES = {
  float32: { bytes: 4, code: (i: number) => [0x3f80_0000, 0x4000_0000, 0xbf00_0000][i % 3] ?? 0 },
  float16: { bytes: 2, code: (i: number) => [0x3c00, 0x4000, 0xb800][i % 3] ?? 0 },
  bfloat16: { bytes: 2, code: (i: number) => [0x3f80, 0x4000, 0xbf00][i % 3] ?? 0 },
  float8_e4m3fn: { bytes: 1, code: (i: number) => [0x38, 0x40, 0xb0][i % 3] ?? 0 },
} as const;
type Tried = keyof typeof CODES;
const TYPES: readonly Tried[] = ["float32", "float16", "bfloat16", "float8_e4m3fn"];

describe("weights in files", () => {
  let folder = "";
  const files = new Map<StorageType, ReadonlyMap<string, TensorView>>();
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "kiln-weights-"));
    for (const type of TYPES) {
      const path = join(folder, `${type}.safetensors`);
      const tensors = [
        { name: "weight", shape: [OUT, IN] },
        { name: "turned", shape: [IN, OUT] },
        { name: "bias", shape: [OUT] },
      ].map(({ name, shape }) => ({ name, type, shape, bytes: () => numbers(type, shape[0] ?? 0, shape[1] ?? 1) }));
      await writeSafetensors(path, tensors);
      files.set(type, (await openSafetensors(path)).tensors);
    }
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const tensor = (type: StorageType, name: string): TensorView => {
    const found = files.get(type)?.get(name);
    if (!found) throw new Error(`no ${name} of ${type}`);
    return found;
  };

  async function run(type: Tried, weights: WeightPolicy): Promise<Float32Array | undefined> {
    const graph = new GraphBuilder("layer");
    const x = graph.input("x", "float32", ["rows", IN]);
    const bias = graph.weight(tensor(type, "bias"));
    const plain = graph.linear(x, graph.weight(tensor(type, "weight")), bias, OUT);
    const turned = { ...tensor(type, "turned"), transposed: true };
    graph.output("y", graph.add(plain, graph.linear(x, graph.weight(turned, [OUT, IN]), undefined, OUT)));
    const network = await onnxBackend({ weights, threads: 1 }).compile(graph.build());
    const { y } = await network.run({ x: floatTensor(input(), [2, IN]) });
    await network.dispose();
    return y?.data;
  }

  test.each(TYPES)("%s gives the same bits mapped, resident and halved, and the right ones", async (type) => {
    const mapped = await run(type, "mapped");
    expect(mapped).toEqual(await run(type, "resident"));
    expect(mapped).toEqual(await run(type, "halved"));
    expect([...(mapped ?? [])].slice(0, 3)).toEqual([0, 1, 2].map(expected));
  });

  test("only large tensors of half precision stay in their files", () => {
    const mapped = TYPES.filter((type) => isMapped(tensor(type, "weight"), "mapped"));
    expect(mapped).toEqual(["float16", "bfloat16"]);
    expect(isMapped(tensor("float16", "bias"), "mapped")).toBe(false);
    expect(isMapped({ ...tensor("float16", "turned"), transposed: true }, "mapped")).toBe(false);
    expect(isMapped({ ...tensor("float16", "weight"), source: new Uint8Array(8) }, "mapped")).toBe(false);
    expect(isMapped(tensor("float16", "weight"), "resident")).toBe(false);
  });

  test("whatever it is stored in, a large tensor takes two bytes a number where it is halved", () => {
    for (const type of TYPES) expect(weightBytesOf(tensor(type, "weight"), "halved")).toBe(2 * IN * OUT);
    expect(isHalved(tensor("float32", "bias"), "halved")).toBe(false);
    expect(weightBytesOf(tensor("float16", "bias"), "halved")).toBe(4 * OUT);
  });

  test("what stays in its file takes no memory that the system cannot have back", () => {
    const numbersIn = IN * OUT;
    expect(residentBytesOf(tensor("float16", "weight"), "mapped")).toBe(0);
    expect(residentBytesOf(tensor("float32", "weight"), "resident")).toBe(0);
    expect(residentBytesOf(tensor("float16", "weight"), "resident")).toBe(4 * numbersIn);
    expect(residentBytesOf(tensor("float8_e4m3fn", "weight"), "mapped")).toBe(4 * numbersIn);
    expect(weightBytesOf(tensor("float16", "weight"), "mapped")).toBe(2 * numbersIn);
  });
});

function input(): Float32Array {
  return Float32Array.from({ length: 2 * IN }, (_, i) => i % 5);
}

/** Row 0 of the output by hand: both weights hold 1, 2, -0.5 over and over, in the order of their rows. */
function expected(out: number): number {
  const value = (i: number): number => [1, 2, -0.5][i % 3] ?? 0;
  let sum = value(out);
  for (let i = 0; i < IN; i++) sum += (i % 5) * (value(out * IN + i) + value(i * OUT + out));
  return sum;
}

function numbers(type: Tried, rows: number, columns: number): Uint8Array {
  const { bytes, code } = CODES[type];
  const data = new DataView(new ArrayBuffer(rows * columns * bytes));
  for (let i = 0; i < rows * columns; i++) {
    if (bytes === 4) data.setUint32(4 * i, code(i), true);
    else if (bytes === 2) data.setUint16(2 * i, code(i), true);
    else data.setUint8(i, code(i));
  }
  return new Uint8Array(data.buffer);
}
