import { describe, expect, it } from "vitest";
import { hasPhrase, paintPrompt, togglePhrase } from "./prompt-words.ts";

const COLOURS = ["red", "orange", "blue", "dark blue"];
const SUBJECTS = ["a {c} house", "a lighthouse", "a sailing boat with a {c} sail"];
const WEATHER = ["with clouds", "with a few clouds", "in the snow"];

describe("hasPhrase", () => {
  it("finds whole words, whatever the case", () => {
    expect(hasPhrase("A Lighthouse at night", "a lighthouse", COLOURS)).toBe(true);
    expect(hasPhrase("moonlight", "moon", COLOURS)).toBe(false);
    expect(hasPhrase("at nightfall", "at night", COLOURS)).toBe(false);
  });

  it("takes any colour in a colour's place, and its article", () => {
    expect(hasPhrase("a red house", "a {c} house", COLOURS)).toBe(true);
    expect(hasPhrase("an orange house", "a {c} house", COLOURS)).toBe(true);
    expect(hasPhrase("a wooden house", "a {c} house", COLOURS)).toBe(false);
  });

  it("reads marks of regular expressions as text", () => {
    expect(hasPhrase("a (big) house", "a (big) house", [])).toBe(true);
    expect(hasPhrase("a big house", "a (big) house", [])).toBe(false);
  });
});

describe("togglePhrase", () => {
  it("adds a subject in front and the rest at the end", () => {
    expect(togglePhrase("", "a {c} house", SUBJECTS, COLOURS, "front")).toBe("a red house");
    expect(togglePhrase("at night", "a lighthouse", SUBJECTS, COLOURS, "front")).toBe("a lighthouse, at night");
    expect(togglePhrase("a lighthouse,", "in the snow", WEATHER, COLOURS, "end")).toBe("a lighthouse, in the snow");
  });

  it("takes out what is there, with its comma", () => {
    expect(togglePhrase("a lighthouse, in the snow, at night", "in the snow", WEATHER, COLOURS, "end")).toBe(
      "a lighthouse, at night",
    );
    expect(togglePhrase("a lighthouse", "a lighthouse", SUBJECTS, COLOURS, "front")).toBe("");
  });

  it("puts a phrase in the place of another one of its group and keeps the colour", () => {
    expect(togglePhrase("a blue house at night", "a sailing boat with a {c} sail", SUBJECTS, COLOURS, "front")).toBe(
      "a sailing boat with a blue sail at night",
    );
    expect(togglePhrase("a lighthouse with a few clouds", "in the snow", WEATHER, COLOURS, "end")).toBe(
      "a lighthouse in the snow",
    );
  });
});

describe("paintPrompt", () => {
  it("changes the first colour, and the article with it", () => {
    expect(paintPrompt("a red house, blue sky", "orange", COLOURS)).toBe("an orange house, blue sky");
    expect(paintPrompt("an orange tent", "red", COLOURS)).toBe("a red tent");
    expect(paintPrompt("a dark blue boat", "red", COLOURS)).toBe("a red boat");
  });

  it("adds a colour where there is none", () => {
    expect(paintPrompt("a tent", "orange", COLOURS)).toBe("an orange tent");
    expect(paintPrompt("pine trees", "red", COLOURS)).toBe("red pine trees");
  });

  it("leaves other words' articles alone", () => {
    expect(paintPrompt("an umbrella over a unicorn", "red", COLOURS)).toBe("a red umbrella over a unicorn");
  });
});
