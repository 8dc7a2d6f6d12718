import { expect, it } from "vitest";
import type { CompiledGraph } from "../backends/backend.ts";
import type { TensorView } from "../checkpoint/tensor-view.ts";
import { isHeldBy, WeightAccount } from "./weight-account.ts";

const tensor = (offset: number): TensorView => ({ source: "/weights", offset, byteLength: 4, type: "float32", shape: [1] });
const network = (weightBytes: number, sharedWeights?: CompiledGraph["sharedWeights"]): CompiledGraph => ({
  inputs: [],
  weightBytes,
  ...(sharedWeights ? { sharedWeights } : {}),
  run: async () => ({}),
  dispose: async () => undefined,
});

const [a, b] = [tensor(0), tensor(4)];
const plain = network(10, new Map([[a, 10]]));
/** Holds what `plain` holds, and more. */
const joined = network(
  17,
  new Map([
    [a, 10],
    [b, 7],
  ]),
);

it("weights that networks share count once, until the last of these has gone", () => {
  const own = network(100);
  const account = new WeightAccount();
  const after = [plain, joined, own].map((each) => {
    account.add(each);
    return account.bytes;
  });
  expect(after).toEqual([10, 17, 117]);
  const left = [plain, own, joined].map((each) => {
    account.remove(each);
    return account.bytes;
  });
  expect(left).toEqual([117, 17, 0]);
});

it("a network is held by others that hold all its weights", () => {
  expect(isHeldBy([joined], plain)).toBe(true);
  expect(isHeldBy([plain], joined)).toBe(false);
  expect(isHeldBy([], plain)).toBe(false);
  expect(isHeldBy([network(100)], network(100))).toBe(false);
});
