import { installCuda, installOpenVino } from "@kiln/diffusion";
import { Command } from "commander";
import { invalid } from "../arguments.ts";

interface InstallOptions {
  readonly wheel?: readonly string[];
  readonly path?: readonly string[];
}

export function accelCommand(): Command {
  const install = new Command("install")
    .description(
      "Fetch the libraries of a faster device with pip: openvino (57 MB; several times as fast on CPUs that compute in bfloat16), or cuda (1.2 GB; NVIDIA GPUs: ONNX Runtime, CUDA 13 and cuDNN 9).",
    )
    .argument("[what]", "openvino or cuda", "openvino")
    .option("--wheel <files...>", "wheels that are already here, for machines without network")
    .option("--path <folders...>", "cuda: folders where CUDA and cuDNN are installed; what is there is linked and not fetched")
    .addHelpText(
      "after",
      `
Examples:
  $ kiln accel install
  $ kiln accel install openvino --wheel openvino.whl
  $ kiln accel install cuda
  $ kiln accel install cuda --path /usr/local/cuda/lib64 /usr/lib/x86_64-linux-gnu`,
    )
    .action(async (what: string, options: InstallOptions) => {
      process.stdout.write(`${await installed(what, options)}\n`);
    });
  return new Command("accel")
    .description("Add a faster library for this machine's processor or GPU.")
    .addHelpText("after", "\nExamples:\n  $ kiln accel install\n  $ kiln accel install cuda")
    .addCommand(install);
}

async function installed(what: string, { wheel: wheels, path: paths }: InstallOptions): Promise<string> {
  const onProgress = (news: string): void => {
    process.stderr.write(`${news} ...\n`);
  };
  if (what === "cuda") return await installCuda({ wheels, paths, onProgress });
  if (what !== "openvino") throw invalid("what", `There is no library "${what}": install openvino or cuda.`);
  if (paths !== undefined) throw invalid("--path", "--path is for cuda: OpenVINO's libraries come from its wheel alone.");
  if ((wheels?.length ?? 0) > 1) throw invalid("--wheel", "OpenVINO's libraries come from one wheel: name it alone.");
  return await installOpenVino({ wheel: wheels?.[0], onProgress });
}
