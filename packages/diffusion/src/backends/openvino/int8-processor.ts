import { readFileSync } from "node:fs";

/** Linux's names of the instructions that multiply bytes and add the products up: AVX512-VNNI, AVX-VNNI and AMX's. */
const BYTE_PRODUCTS = ["avx512_vnni", "avx_vnni", "amx_int8"];

/**
 * Why int8 gains nothing on a processor, in a sentence without its full stop; undefined where it does, or where that cannot be told:
 * without such instructions OpenVINO widens the bytes and computes as in bfloat16.
 * @param cpuinfo Linux's /proc/cpuinfo; other systems and processors say nothing that could be compared
 */
export function whyInt8GainsNothing(cpuinfo = readCpuinfo()): string | undefined {
  const [, flags] = /^flags\s*:(.*)$/m.exec(cpuinfo) ?? [];
  if (flags === undefined) return undefined;
  const known = new Set(flags.trim().split(/\s+/));
  if (BYTE_PRODUCTS.some((name) => known.has(name))) return undefined;
  return "this processor has neither AVX512-VNNI, AVX-VNNI nor AMX, so that int8 is no faster than bfloat16, and less exact";
}

function readCpuinfo(): string {
  try {
    return readFileSync("/proc/cpuinfo", "utf8");
  } catch {
    return "";
  }
}
