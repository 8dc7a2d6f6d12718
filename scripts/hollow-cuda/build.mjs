import { execFile } from "node:child_process";
import { readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const here = fileURLToPath(new URL(".", import.meta.url));

/** Each hollow library, the source of what it does, and what its functions' names begin with. */
const LIBRARIES = [
  { file: "libcudart.so.13", source: "cudart.c", names: /^(__cuda|cuda)/ },
  { file: "libcublas.so.13", source: "others.c", names: /^cublas(?!Lt)/ },
  { file: "libcublasLt.so.13", source: "others.c", names: /^cublasLt/ },
  { file: "libcurand.so.10", source: "others.c", names: /^curand/ },
  { file: "libcudnn.so.9", source: "others.c", names: /^cudnn/ },
  { file: "libcuda.so.1", source: "others.c", names: /^cu[A-Z]/ },
];

/** What the program itself calls of the driver and of the runtime. */
const OWN_CALLS = ["cuInit", "cudaSetDevice", "cudaDeviceSynchronize"];

/**
 * Builds the driver, CUDA and cuDNN as libraries whose functions do nothing, with a C compiler, beside links to ONNX Runtime's own.
 * @param onnxruntime folder of the released GPU libraries
 * @param into an empty folder
 */
export async function buildHollowCuda(onnxruntime, into) {
  const provider = join(onnxruntime, "libonnxruntime_providers_cuda.so");
  const { stdout } = await run("nm", ["-D", "--undefined-only", provider], { maxBuffer: 2 ** 26 });
  const wanted = new Set([...stdout.matchAll(/ U (\w+)/g)].map(([, name]) => name));
  // cuDNN is looked up by name while it runs.
  const names = await run("strings", ["-n", "6", provider], { maxBuffer: 2 ** 28 });
  for (const name of names.stdout.split("\n")) if (/^cudnn[A-Z]\w+$/.test(name)) wanted.add(name);
  for (const name of OWN_CALLS) wanted.add(name);
  for (const { file, source, names: own } of LIBRARIES) {
    const written = await readFile(join(here, source), "utf8");
    const rest = [...wanted].filter((name) => own.test(name) && !new RegExp(`\\b${name}\\(`).test(written));
    const text = `${written}\n${rest.map((name) => `int ${name}(void) { return 0; }`).join("\n")}\n`;
    const [code, map] = [join(into, `${file}.c`), join(into, `${file}.map`)];
    await writeFile(code, text);
    // The provider asks for versions by the libraries' names.
    await writeFile(map, `${file} { global: *; };\n`);
    const link = [`-Wl,-soname,${file}`, `-Wl,--version-script=${map}`];
    await run("cc", ["-w", "-shared", "-fPIC", ...link, "-o", join(into, file), code]);
  }
  for (const name of ["libonnxruntime.so.1.30.0", "libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"])
    await symlink(join(onnxruntime, name), join(into, name));
}
