/** `npm test`: install, build, types, lint, every test; the last line says how many passed and failed. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, checkNode, install, run } from "./prepare.mjs";

/** What `tsc -b` does not see, because nothing is built of it. */
const TYPED = ["packages/diffusion/test", "packages/cli/test", "examples"];

checkNode();
const checks = [
  ["install", install],
  ["build and types", build],
  [
    "types of tests and examples",
    () => TYPED.every((folder) => run("npx", ["--no-install", "tsc", "--noEmit", "-p", folder]) === 0),
  ],
  ["types of the page", () => run("npm", ["run", "check", "--silent", "-w", "packages/web"]) === 0],
  ["lint and format", () => run("npx", ["--no-install", "biome", "check", "--diagnostic-level=warn", "."]) === 0],
];
let [passed, failed, skipped] = [0, 0, 0];
for (const [name, check] of checks) {
  console.log(`\n== ${name}`);
  if (check()) passed++;
  else {
    failed++;
    console.error(`FAILED: ${name}`);
    if (name === "install") finish();
  }
}

console.log("\n== tests");
const folder = mkdtempSync(join(tmpdir(), "kiln-test-"));
const report = join(folder, "report.json");
const status = run("npx", [
  "--no-install",
  "vitest",
  "run",
  "--reporter=default",
  "--reporter=json",
  `--outputFile.json=${report}`,
  ...process.argv.slice(2),
]);
if (existsSync(report)) {
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(readFileSync(report, "utf8"));
  passed += numPassedTests;
  skipped += numPendingTests + numTodoTests;
  // A file that cannot be loaded has no tests to count.
  const broken = testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0).length;
  failed += Math.max(numFailedTests + broken, status === 0 ? 0 : 1);
} else failed++;
rmSync(folder, { recursive: true, force: true });
finish();

function finish() {
  console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  process.exit(failed === 0 ? 0 : 1);
}
