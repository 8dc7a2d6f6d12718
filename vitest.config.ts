import { defineConfig } from "vitest/config";

export default defineConfig({
  // Packages are tested from their sources, so that a test never runs against a stale build.
  resolve: { conditions: ["kiln-source"] },
  ssr: { resolve: { conditions: ["kiln-source"] } },
  test: {
    include: ["packages/*/src/**/*.test.ts", "packages/*/test/**/*.test.ts", "examples/**/*.test.ts", "bench/**/*.test.mjs"],
    globalSetup: "scripts/test-folder.mjs",
    // Native libraries and real checkpoints: processes of their own, and time enough on two noisy cores.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // What is polled for comes when the machine gets to it. vitest gives up after a second.
    expect: { poll: { timeout: 60_000 } },
    // Machines of CI are shared: what waits for processes to die and come back is tried once more there, and nowhere else.
    retry: process.env.CI ? 1 : 0,
  },
});
