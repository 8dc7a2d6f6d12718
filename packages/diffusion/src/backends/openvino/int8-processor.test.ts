import { expect, test } from "vitest";
import { whyInt8GainsNothing } from "./int8-processor.ts";

const cpuinfo = (flags: string) =>
  `processor\t: 0\nmodel name\t: some processor\nflags\t\t: fpu sse2 ${flags} ibrs\nbogomips\t: 1\n`;

test.each(["avx512f avx512_vnni", "avx2 avx_vnni", "amx_bf16 amx_tile amx_int8"])(
  "int8 gains on a processor with %s",
  (flags) => {
    expect(whyInt8GainsNothing(cpuinfo(flags))).toBeUndefined();
  },
);

test.each(["avx2", "avx512f avx512_bf16", "amx_bf16 amx_tile"])(
  "int8 gains nothing on a processor with no more than %s",
  (flags) => {
    expect(whyInt8GainsNothing(cpuinfo(flags))).toContain("no faster than bfloat16");
  },
);

test("nothing is said where the processor does not say what it has", () => {
  expect(whyInt8GainsNothing("processor\t: 0\nFeatures\t: fp asimd\n")).toBeUndefined();
  expect(whyInt8GainsNothing("")).toBeUndefined();
});
