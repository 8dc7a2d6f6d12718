/**
 * Draws docs/demo.webp, 24 pictures of the demo checkpoint side by side: `node scripts/contact-sheet.mjs` after a build.
 * The prompts are what the demo can do and where it fails; docs/demo.md says which.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Pipeline } from "@kiln/diffusion";
import sharp from "sharp";
import { root } from "./prepare.mjs";

const PROMPTS = [
  "a red house on green hills at sunset",
  "a lighthouse by the sea at night with a full moon",
  "a sailing boat with a yellow sail at sea, blue sky, clouds",
  "a purple hot air balloon over green hills on a sunny day",
  "a cactus in the desert at sunset with the setting sun",
  "an orange tent in the mountains under the stars with a crescent moon",
  "a blue house in a green meadow with pine trees, daytime",
  "snowy mountains at sunset",
  "a red sailboat on the ocean at sunset with the sun",
  "green hills with clouds, sunny",
  "a cozy purple cottage at night with a full moon",
  "a yellow tent in the desert at night, starry night",
  "a red heart on a yellow background",
  "a large white star on a blue background",
  "a small green triangle on a black background",
  "a purple circle on an orange background",
  "an orange square on a white background",
  "a pine tree forest at night with a crescent moon",
  "a pine forest in winter, snow",
  "a white house in front of snowy mountains, falling snow",
  "a yellow star on an orange background",
  "two red boats and a green house",
  "a cat wearing a hat",
  "the word KILN in red letters",
];
const COLUMNS = 6;
const CELL = 200;
const GAP = 6;
const CAPTION = 48;
const LINE_CHARACTERS = 32;

const pipeline = await Pipeline.load(join(root, "models/kiln-demo"));
const layers = [];
for (const [i, prompt] of PROMPTS.entries()) {
  const [drawn] = await pipeline.generate({ prompt, seed: i + 1 });
  if (!drawn) throw new Error("nothing was drawn");
  const left = GAP + (i % COLUMNS) * (CELL + GAP);
  const top = GAP + Math.floor(i / COLUMNS) * (CELL + CAPTION);
  layers.push({
    input: await sharp(Buffer.from(await drawn.encode("png")))
      .resize(CELL, CELL)
      .toBuffer(),
    left,
    top,
  });
  layers.push({ input: caption(prompt), left, top: top + CELL });
  console.log(`${i + 1} of ${PROMPTS.length}: ${prompt}`);
}
await pipeline.dispose();

const width = GAP + COLUMNS * (CELL + GAP);
const height = GAP + Math.ceil(PROMPTS.length / COLUMNS) * (CELL + CAPTION);
const sheet = sharp({ create: { width, height, channels: 3, background: "white" } }).composite(layers);
await writeFile(join(root, "docs/demo.webp"), await sheet.webp({ quality: 85 }).toBuffer());

/** A prompt as a picture of text, in two lines where it is long. */
function caption(text) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (longer.length > LINE_CHARACTERS) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  const rows = lines.map((line, i) => `<text x="0" y="${14 + i * 13}">${line}</text>`).join("");
  return Buffer.from(`<svg width="${CELL}" height="${CAPTION}" font-family="sans-serif" font-size="11.5">${rows}</svg>`);
}
