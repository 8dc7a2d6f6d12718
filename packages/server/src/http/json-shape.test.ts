import { expect, test } from "vitest";
import { beyondLimits, MAX_JSON_DEPTH, MAX_JSON_VALUES } from "./json-shape.ts";

test.each([
  ["a list as deep as may be", "[".repeat(MAX_JSON_DEPTH) + "]".repeat(MAX_JSON_DEPTH)],
  ["brackets in a string", JSON.stringify({ prompt: "[{,".repeat(MAX_JSON_VALUES) })],
  ["quotes and backslashes in a string", JSON.stringify({ prompt: '\\"[,\\'.repeat(MAX_JSON_VALUES) })],
  ["lists beside each other", `[${"[],".repeat(1000)}1]`],
  ["a string that does not end", `{"prompt": "${"[".repeat(MAX_JSON_VALUES)}`],
  ["a string that ends in a backslash", '{"prompt": "\\'],
  ["nothing", ""],
])("%s is within the limits", (_name, text) => {
  expect(beyondLimits(text)).toBeUndefined();
});

test.each([
  ["[".repeat(MAX_JSON_DEPTH + 1), "nested deeper than 100 levels"],
  ['{"a":'.repeat(MAX_JSON_DEPTH + 1), "nested deeper than 100 levels"],
  [`{"a": "\\\\", "b": ${"[".repeat(MAX_JSON_DEPTH + 1)}`, "nested deeper than 100 levels"],
  [`[${"1,".repeat(MAX_JSON_VALUES)}1]`, "more than 100000 values"],
  [`[${"[],".repeat(MAX_JSON_VALUES / 2)}1]`, "more than 100000 values"],
  [`{${'"a":1,'.repeat(MAX_JSON_VALUES)}"b":1}`, "more than 100000 values"],
])("%.20s is beyond them", (text, words) => {
  expect(beyondLimits(text)).toContain(words);
});
