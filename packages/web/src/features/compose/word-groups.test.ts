import { expect, it } from "vitest";
import { examplePrompts, wordGroups } from "./word-groups.ts";

it("offers the usual groups in the order of composing, with one group of colours", () => {
  const words = new Map([
    ["patterns", ["a [colour] [shape]"]],
    ["shape_and_background_colours", ["red", "black"]],
    ["object_colours", ["red"]],
    ["places", ["by the sea"]],
    ["shape_sizes", ["small"]],
    ["subjects", ["a {c} house"]],
    ["useful_in_a_negative_prompt", ["blurry"]],
    ["examples", ["a red house by the sea"]],
  ]);
  expect(wordGroups(words).map(({ label, kind, phrases }) => [label, kind, ...phrases])).toEqual([
    ["Subjects", "subject", "a {c} house"],
    ["Places", "phrase", "by the sea"],
    ["Shape sizes", "phrase", "small"],
    ["Colours", "colour", "red"],
  ]);
  expect(examplePrompts(words)).toEqual(["a red house by the sea"]);
});

it("offers the groups of a model that has its own", () => {
  expect(wordGroups(new Map([["art_movements", ["cubism"]]])).map(({ label }) => label)).toEqual(["Art movements"]);
  expect(wordGroups(new Map())).toEqual([]);
});
