import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { referencePath } from "../testing/reference.ts";
import { isBreak, MAX_WEIGHT, parsePromptAttention } from "./prompt-attention.ts";

const casesPath = referencePath("cases/prompt_attention.json");
const pairs = (prompt: string) => parsePromptAttention(prompt).map((part) => [part.text, part.weight]);

describe("parsePromptAttention", () => {
  it.skipIf(casesPath === undefined)("agrees with the reference", () => {
    const cases: { text: string; parts: [string, number][] }[] = JSON.parse(readFileSync(casesPath ?? "", "utf8"));
    expect(cases.length).toBeGreaterThan(10);
    for (const { text, parts } of cases) {
      const got = pairs(text);
      expect(
        got.map((part) => part[0]),
        text,
      ).toEqual(parts.map((part) => part[0]));
      for (const [index, [, weight]] of parts.entries()) expect(got[index]?.[1], text).toBeCloseTo(weight, 12);
    }
  });

  // Made with the reference's parser.
  it.each([
    [
      "a BREAK BREAK b",
      [
        ["a", 1],
        ["BREAK", -1],
        ["", 1],
        ["BREAK", -1],
        ["b", 1],
      ],
    ],
    ["BREAKS éBREAK _BREAK", [["BREAKS éBREAK _BREAK", 1]]],
    [
      "(a BREAK b)",
      [
        ["a", 1.1],
        ["BREAK", -1.1],
        ["b", 1.1],
      ],
    ],
    ["a) b] c:2) :", [["a) b] c:2) :", 1]]],
    [
      "(a:-0.5)(b:+2.)",
      [
        ["a", -0.5],
        ["b", 2],
      ],
    ],
    ["[(a:2)", [["a", 2 / 1.1]]],
    ["\\\\ \\x \\", [["\\ x ", 1]]],
    ["(a:1.2.3)", [["a:1.2.3)", 1.1]]],
    ["((a)", [["a", 1.1 * 1.1]]],
  ])("parses %j", (prompt, parts) => {
    expect(pairs(prompt)).toEqual(parts);
  });

  it("marks a BREAK only outside of brackets", () => {
    expect(parsePromptAttention("a BREAK b").map(isBreak)).toEqual([false, true, false]);
    expect(parsePromptAttention("(a BREAK b)").some(isBreak)).toBe(false);
  });

  it.each(["(", "(a", "[", "(a)", "((a:1.5)", " ", "BREAK ", ":", ":1", ": ", "\\", "x BREAK(", "(:9)"])(
    "reads 50,000 times %j",
    (piece) => {
      const parts = parsePromptAttention(piece.repeat(50_000));
      expect(parts.every(({ weight }) => Math.abs(weight) <= MAX_WEIGHT)).toBe(true);
    },
  );

  it("bounds the weight", () => {
    expect(pairs(`(a:${"9".repeat(400)})`)).toEqual([["a", MAX_WEIGHT]]);
  });
});
