import { installCuda, installOpenVino, KilnError } from "@kiln/diffusion";
import { Command } from "commander";

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
  if (what !== "openvino" || paths !== undefined || (wheels?.length ?? 0) > 1) {
    throw new KilnError("invalid_request", "There are openvino, with one --wheel at most, and cuda, with any and --path.");
  }
  return await installOpenVino({ wheel: wheels?.[0], onProgress });
}
