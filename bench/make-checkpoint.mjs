#!/usr/bin/env node
/**
 * Writes a checkpoint of SDXL base's real size and names with random weights, for measuring time and memory:
 *
 *   node bench/make-checkpoint.mjs /tmp/sdxl-random.safetensors        one file, float16, 6.9 GB
 *   node bench/make-checkpoint.mjs /tmp/sdxl-random                    a diffusers folder of the same size
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { standardVocabulary } from "../packages/diffusion/dist/text/standard-vocabulary.js";
import { writeRandomWeights } from "./random-weights.mjs";
import { SDXL_CONFIGS } from "./sdxl-configs.mjs";

const [path] = process.argv.slice(2);
if (!path) {
  console.error("usage: node bench/make-checkpoint.mjs FILE.safetensors | FOLDER");
  process.exit(2);
}

if (path.endsWith(".safetensors")) await writeRandomWeights(path, await manifest("sdxl-base.json"));
else await writeFolder(path);

async function writeFolder(folder) {
  for (const [name, config] of Object.entries(SDXL_CONFIGS))
    await write(join(folder, name), `${JSON.stringify(config, null, 2)}\n`);
  for (const tokenizer of ["tokenizer", "tokenizer_2"]) {
    const { tokens, merges } = standardVocabulary("clip_l");
    await write(join(folder, tokenizer, "vocab.json"), JSON.stringify(Object.fromEntries(tokens)));
    await write(join(folder, tokenizer, "merges.txt"), ["#version: 0.2", ...merges, ""].join("\n"));
  }
  for (const [file, shapes] of Object.entries(await manifest("sdxl-base.folder.json"))) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeRandomWeights(join(folder, `${file}.safetensors`), shapes);
  }
}

async function write(file, text) {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

async function manifest(name) {
  return JSON.parse(await readFile(new URL(`./manifests/${name}`, import.meta.url), "utf8"));
}
