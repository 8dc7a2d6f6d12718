import { expect, test } from "vitest";
import { checkWeights } from "./check-weights.ts";
import type { TensorView } from "./tensor-view.ts";

test("missing and misshapen tensors are counted, and the first five named", () => {
  const tensor = (shape: readonly number[]): TensorView => ({
    source: new Uint8Array(),
    offset: 0,
    byteLength: 0,
    type: "float32",
    shape,
  });
  const weights = new Map([
    ["good", tensor([2, 3])],
    ["turned", tensor([3, 2])],
    ["extra", tensor([1])],
  ]);
  expect(() => checkWeights("UNet", weights, [["good", [2, 3]]], "file")).not.toThrow();
  const missing = Array.from({ length: 6 }, (_, i) => [`m${i}`, [1]] as const);
  const check = () => checkWeights("UNet", weights, [["good", [2, 3]], ["turned", [2, 3]], ...missing], "file");
  expect(check).toThrow(expect.objectContaining({ code: "checkpoint_incomplete" }));
  expect(check).toThrow(
    /^file: 7 tensors of the UNet .*turned is \[3, 2\] in place of \[2, 3\]; m0 is missing; .*m3 is missing, and 2 more/,
  );
});
