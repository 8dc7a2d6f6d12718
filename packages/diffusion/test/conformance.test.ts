import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { main } from "../src/conformance/main.ts";
import { type CaseResult, runConformance } from "../src/conformance/run-conformance.ts";
import { onnxBackend } from "../src/index.ts";
import { REFERENCE_FOLDERS } from "../src/testing/reference.ts";

const [full = "", own = ""] = REFERENCE_FOLDERS;

/** On a busy machine the full reference takes a few minutes. */
const PATIENCE = 900_000;

async function run(folder: string): Promise<readonly CaseResult[]> {
  const results: CaseResult[] = [];
  for await (const result of runConformance({ folder, openBackend: () => onnxBackend() })) results.push(result);
  return results;
}

function failures(results: readonly CaseResult[]): readonly CaseResult[] {
  return results.filter(({ outcome }) => outcome === "failed");
}

function passed(results: readonly CaseResult[]): number {
  return results.filter(({ outcome }) => outcome === "passed").length;
}

describe("the reference cases", () => {
  it(
    "pass in the project's own part, of every kind",
    async () => {
      const results = await run(own);
      expect(failures(results)).toEqual([]);
      expect(passed(results)).toBeGreaterThanOrEqual(95);
      expect([...new Set(results.map(({ kind }) => kind))].sort()).toEqual([
        "a1111",
        "controlnet",
        "pipeline",
        "prompt_attention",
        "random",
        "scheduler",
        "text_encoder",
        "tokenizer",
        "unet",
        "vae",
        "vae_tiny",
        "weighted_prompt",
      ]);
    },
    PATIENCE,
  );

  it.skipIf(!existsSync(full))(
    "pass in the full reference beside the project",
    async () => {
      const results = await run(full);
      expect(failures(results)).toEqual([]);
      expect(passed(results)).toBeGreaterThanOrEqual(223);
    },
    PATIENCE,
  );
});

describe("the command line", () => {
  const call = async (...args: string[]): Promise<{ code: number; text: string }> => {
    let text = "";
    const code = await main(args, (more) => {
      text += more;
    });
    return { code, text };
  };

  it("prints a line for each case and the counts at the end", async () => {
    const { code, text } = await call(own, "--kind", "random");
    const lines = text.trim().split("\n");
    expect(code).toBe(0);
    expect(lines.at(-1)).toBe(`${lines.length - 1} passed, 0 failed`);
    expect(lines[0]).toMatch(/^PASS {2}random\/\S+ {2}draw [\d.e+-]+ <= [\d.e+-]+$/);
  });

  it("is not content where nothing was run", async () => {
    expect(await call(own, "--name", "no such case")).toEqual({ code: 1, text: "0 passed, 0 failed\n" });
  });

  it("names an unknown backend and an unknown option", async () => {
    expect(await call(own, "--backend", "abacus")).toMatchObject({ code: 2, text: expect.stringContaining("abacus") });
    expect(await call("--kinds", "random")).toMatchObject({ code: 2, text: expect.stringContaining("--kinds") });
    expect(await call("/no/such/folder")).toMatchObject({ code: 2, text: expect.stringContaining("/no/such/folder") });
  });
});
