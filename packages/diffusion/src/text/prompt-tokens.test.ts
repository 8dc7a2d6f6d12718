import { expect, it } from "vitest";
import { mentionsEmbedding } from "./prompt-tokens.ts";

it("finds an embedding where the text calls it, and not inside a longer word", () => {
  const names = ["kiln-style", "<kiln>"];
  expect(mentionsEmbedding("a house, Kiln-Style", names)).toBe(true);
  expect(mentionsEmbedding("a house (<kiln>:1.2)", names)).toBe(true);
  expect(mentionsEmbedding("a house, kiln-styles", names)).toBe(false);
  expect(mentionsEmbedding("a house", [])).toBe(false);
  expect(mentionsEmbedding("a house", [" "])).toBe(false);
});
