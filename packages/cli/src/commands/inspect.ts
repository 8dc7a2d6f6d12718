import { type Inspection, inspectFile } from "@kiln/diffusion";
import { Command } from "commander";
import { byteSize } from "../byte-size.ts";

interface InspectOptions {
  readonly config?: string;
  readonly values?: boolean;
  readonly json?: boolean;
}

const FAMILIES = {
  sdxl: "Stable Diffusion XL",
  "sdxl-refiner": "the Stable Diffusion XL refiner",
  sd15: "Stable Diffusion 1.5",
} as const;

export function inspectCommand(): Command {
  return new Command("inspect")
    .description("Say what a file or folder is: architecture, precision, size, what is missing or unknown.")
    .argument("<path>", "a .safetensors file or a folder: checkpoint, LoRA, ControlNet, VAE, embedding, upscaler")
    .option("--config <folder>", "a diffusers folder whose configs are used")
    .option("--values", "read every number too, and name tensors with NaN or infinity in them")
    .option("--json", "as one JSON object")
    .addHelpText(
      "after",
      `
Examples:
  $ kiln inspect sdxl.safetensors
  $ kiln inspect ink-lora.safetensors --json
  $ kiln inspect downloaded.safetensors --values`,
    )
    .action(async (path: string, { config, values, json }: InspectOptions) => {
      const inspection = await inspectFile(path, { config, values });
      process.stdout.write(json ? `${JSON.stringify(inspection, undefined, 2)}\n` : describe(inspection));
    });
}

/** For people: a line for each thing that there is to say. */
function describe(inspection: Inspection): string {
  const { path, description, layout, family, bytes, tensors, networks, missing, unknown, metadata, problem, nonFinite } =
    inspection;
  const rows: [string, string][] = [
    [
      "is",
      `${description}${family === undefined ? "" : ` of ${FAMILIES[family]}`}, ${layout === "folder" ? "as a folder" : "in one file"}`,
    ],
  ];
  const traits = traitsOf(inspection);
  if (traits.length > 0) rows.push(["trained", traits.join(", ")]);
  rows.push(["size", `${byteSize(bytes)}, ${tensors} tensors`]);
  for (const { name, parameters, storageTypes } of networks) {
    rows.push([readable(name), `${millions(parameters)} parameters, ${storageTypes.join(", ")}`]);
  }
  if (missing.length > 0) rows.push(["missing", missing.join(", ")]);
  if (unknown.count > 0)
    rows.push([
      "unknown",
      `${unknown.count} tensors: ${unknown.first.join(", ")}${unknown.count > unknown.first.length ? ", ..." : ""}`,
    ]);
  if (nonFinite !== undefined)
    rows.push(["values", nonFinite.length === 0 ? "all finite" : `NaN or infinity in ${nonFinite.join(", ")}`]);
  for (const [key, value] of Object.entries(metadata)) rows.push([`"${key}"`, value]);
  if (problem !== undefined) rows.push(["problem", problem]);
  const widest = Math.max(...rows.map(([name]) => name.length));
  return `${path}\n${rows.map(([name, value]) => `  ${name.padEnd(widest)}  ${value}\n`).join("")}`;
}

function traitsOf({ inpainting, prediction, zeroTerminalSnr, distilled }: Inspection): string[] {
  const traits: string[] = [];
  if (inpainting) traits.push("for inpainting (9 channels)");
  if (prediction !== undefined)
    traits.push(`to predict ${prediction === "v_prediction" ? "velocity (v-prediction)" : prediction}`);
  if (zeroTerminalSnr) traits.push("with zero terminal SNR");
  if (distilled) traits.push(`for few steps (${distilled.kind})`);
  return traits;
}

/** "textEncoder2" as one would say it. */
function readable(name: string): string {
  return name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .replace(/(\D)(\d)$/, "$1 $2")
    .toLowerCase();
}

function millions(count: number): string {
  return count >= 1e9 ? `${(count / 1e9).toFixed(2)} thousand million` : `${(count / 1e6).toFixed(2)} million`;
}
