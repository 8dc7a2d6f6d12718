import { A1111_SAMPLERS, A1111_SCHEDULES, listSchedulers } from "@kiln/diffusion";
import { Command } from "commander";

export function schedulersCommand(): Command {
  return new Command("schedulers")
    .description("List the schedulers by every name that they answer to.")
    .option("--json", "as one JSON object")
    .addHelpText(
      "after",
      `
Examples:
  $ kiln schedulers
  $ kiln generate "a tent at night" --scheduler "DPM++ 2M Karras"
  $ kiln generate "a tent at night" --sampler "Euler a" --schedule "SGM Uniform"`,
    )
    .action(({ json }: { json?: boolean }) => {
      const samplers = A1111_SAMPLERS.map(({ name }) => name);
      const schedules = A1111_SCHEDULES.map(({ label }) => label);
      if (json) {
        process.stdout.write(
          `${JSON.stringify({ schedulers: listSchedulers(), a1111: { samplers, schedules } }, undefined, 2)}\n`,
        );
        return;
      }
      process.stdout.write("For --scheduler, as diffusers computes them (the class, or a short name):\n");
      for (const { class: className, names } of listSchedulers())
        process.stdout.write(`  ${className}\n      ${names.join(", ")}\n`);
      process.stdout.write(`\nFor --sampler, as AUTOMATIC1111 computes them:\n  ${samplers.join(", ")}\n`);
      process.stdout.write(`\nFor --schedule, beside --sampler:\n  ${schedules.join(", ")}\n`);
    });
}
