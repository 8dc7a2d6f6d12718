import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { KilnError } from "@kiln/diffusion";

const DEMO = fileURLToPath(new URL("../../../models/kiln-demo", import.meta.url));

/**
 * The folder of the checkpoint that comes with Kiln.
 * @throws KilnError file_not_found where the project was installed without it
 */
export function demoCheckpoint(): string {
  if (existsSync(join(DEMO, "model_index.json"))) return DEMO;
  throw new KilnError("file_not_found", "The demo checkpoint is not installed: name a checkpoint with --model.", {
    subject: "--model",
  });
}

/** The words of a prompt that the demo was never taught, in their order. Empty where its list of words is not there. */
export function wordsUnknownToDemo(prompt: string): string[] {
  const known = knownWords(join(demoCheckpoint(), "words.json"));
  return known.size === 0 ? [] : [...new Set(wordsOf(prompt))].filter((word) => !known.has(word));
}

/** Words that carry no meaning of their own: the text encoders pass over them. */
const SMALL_WORDS = "a an the of in on at by with and under over above near behind to is are it its".split(" ");

function knownWords(file: string): Set<string> {
  try {
    return new Set([...wordsOf(readFileSync(file, "utf8")), ...SMALL_WORDS]);
  } catch {
    return new Set();
  }
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}]+/gu) ?? [];
}
