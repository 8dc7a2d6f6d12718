/**
 * `npm test`: installs and builds what has changed, type-checks, lints, runs every test, and ends with one line,
 * `N passed, N failed`. Further arguments go to vitest: `npm test -- packages/cli`.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildWhatChanged } from "./build.mjs";
import { installWhatChanged, missingOfMachine, root } from "./install.mjs";

const problem = missingOfMachine();
if (problem !== undefined) {
  console.error(problem);
  process.exit(1);
}
installWhatChanged();
buildWhatChanged();

const TSC = "node_modules/typescript/bin/tsc";
const CHECKS = [
  { name: "types", command: [TSC, "-b"] },
  ...["packages/web", "packages/web/test", "packages/diffusion/test", "packages/cli/test", "examples"]
    .filter((folder) => existsSync(join(root, folder, "tsconfig.json")))
    .map((folder) => ({ name: `types of ${folder}`, command: [TSC, "--noEmit", "-p", folder] })),
  { name: "lint", command: ["node_modules/@biomejs/biome/bin/biome", "check", "."] },
];

let [passed, failed] = [0, 0];
for (const { name, command } of CHECKS) {
  const { status } = spawnSync(process.execPath, command, { cwd: root, stdio: "inherit" });
  console.error(`${status === 0 ? "passed" : "FAILED"}: ${name}`);
  if (status === 0) passed++;
  else failed++;
}
const tests = runTests(process.argv.slice(2));
passed += tests.passed;
failed += tests.failed;
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** Counts tests; a file that could not even be read counts as one that failed. */
function runTests(parameters) {
  const folder = mkdtempSync(join(tmpdir(), "kiln-test-"));
  const report = join(folder, "report.json");
  try {
    const command = [
      "node_modules/vitest/vitest.mjs",
      "run",
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${report}`,
    ];
    const { status } = spawnSync(process.execPath, [...command, ...parameters], { cwd: root, stdio: "inherit" });
    if (!existsSync(report)) return { passed: 0, failed: 1 };
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, "utf8"));
    const broken = testResults.filter(
      ({ status, assertionResults }) => status === "failed" && assertionResults.length === 0,
    ).length;
    const counted = numFailedTests + broken;
    // Errors outside of any test fail the run too.
    return { passed: numPassedTests, failed: status === 0 || counted > 0 ? counted : 1 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
