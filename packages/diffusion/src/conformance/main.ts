import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { REFERENCE_FOLDERS } from "../testing/reference.ts";
import { backendOpener } from "./backends.ts";
import { REDUCED_PRECISIONS, reducedPrecisionJudge } from "./reduced-precision.ts";
import { type CaseResult, runConformance } from "./run-conformance.ts";

const USAGE = `npm run conformance -- [FOLDER] [--kind KIND] [--name PART] [--backend onnx] [--precision float32]

Draws the reference cases of FOLDER with Kiln, and holds each result against the reference at the case's own tolerance.
FOLDER is laid out as the reference: cases/KIND/NAME.safetensors and checkpoints/. Without it, shared/reference beside the
project is taken where it is there, else the project's own part.

  --kind KIND       cases of this kind alone (pipeline, scheduler, unet, ...)
  --name PART       cases alone whose names hold PART
  --backend NAME    what runs the networks (onnx, openvino, webgpu, cuda)
  --precision NAME  what the networks compute in (float32, bfloat16, float16, int8); below float32 each network's relative error is
                    held against torch's own in that precision (for int8: in bfloat16), at most 1.5 times that (for int8: twice);
                    whole pictures are drawn but not judged
`;

/**
 * The command line of the conformance runner.
 * @returns the exit code: 0 where every case passed, 1 where one failed or there was none, 2 for a wrong argument.
 */
export async function main(args: readonly string[], write: (text: string) => void): Promise<number> {
  const options = parse(args);
  if (typeof options === "string") {
    write(`${options}\n${USAGE}`);
    return 2;
  }
  if (options.help) {
    write(USAGE);
    return 0;
  }
  const counts = { passed: 0, failed: 0, skipped: 0 };
  try {
    const folder = options.folder ?? REFERENCE_FOLDERS.find((path) => existsSync(path));
    if (folder === undefined) throw new Error(`there is no reference: ${REFERENCE_FOLDERS.join(" or ")}`);
    const openBackend = backendOpener(options.backend, options.precision);
    const reduced = REDUCED_PRECISIONS.find((precision) => precision === options.precision);
    const judge = reduced === undefined ? {} : { judge: reducedPrecisionJudge(reduced) };
    for await (const result of runConformance({ folder, openBackend, kind: options.kind, name: options.name, ...judge })) {
      counts[result.outcome]++;
      write(`${line(result)}\n`);
    }
  } catch (error) {
    write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
  write(`${counts.passed} passed, ${counts.failed} failed${skipped}\n`);
  return counts.failed === 0 && counts.passed + counts.skipped > 0 ? 0 : 1;
}

interface Options {
  readonly folder: string | undefined;
  readonly kind?: string;
  readonly name?: string;
  readonly backend?: string;
  readonly precision?: string;
  readonly help?: boolean;
}

function parse(args: readonly string[]): Options | string {
  const text = { type: "string" } as const;
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { kind: text, name: text, backend: text, precision: text, help: { type: "boolean", short: "h" } },
    });
    const [folder, ...more] = positionals;
    if (more.length > 0) return `There is one folder at most, and ${more.join(", ")} came after it.`;
    return { ...values, folder };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function line({ kind, name, outcome, groups, reasons }: CaseResult): string {
  const label = { passed: "PASS", failed: "FAIL", skipped: "SKIP" }[outcome];
  const differences = groups.map(
    ({ group, difference, tolerance }) =>
      `${group} ${difference.toExponential(1)}${difference <= tolerance ? " <= " : " > "}${tolerance.toExponential(1)}`,
  );
  return [`${label}  ${kind}/${name}`, ...differences, ...reasons].join("  ");
}
