import { installOpenVino } from "@kiln/diffusion";
import { Command } from "commander";

export function accelCommand(): Command {
  const install = new Command("install")
    .description("Fetch OpenVINO's CPU libraries (57 MB, with pip): several times as fast on CPUs that compute in bfloat16.")
    .option("--wheel <file>", "a wheel that is already here, for machines without network")
    .addHelpText("after", "\nExamples:\n  $ kiln accel install\n  $ kiln accel install --wheel openvino.whl")
    .action(async ({ wheel }: { wheel?: string }) => {
      const folder = await installOpenVino({ wheel, onProgress: (what) => process.stderr.write(`${what} ...\n`) });
      process.stdout.write(`${folder}\n`);
    });
  return new Command("accel")
    .description("Add a faster library for this machine's processor.")
    .addHelpText("after", "\nExamples:\n  $ kiln accel install")
    .addCommand(install);
}
