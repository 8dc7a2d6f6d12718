#!/usr/bin/env node
/**
 * Asks the released CUDA provider, on a machine without a GPU, whether it has a kernel for every op of SDXL at full size:
 *
 *   npx kiln accel install cuda && npm run build && node scripts/check-cuda-kernels.mjs MANIFESTS
 *
 * The driver, CUDA and cuDNN are hollow (hollow-cuda/): memory is the machine's and kernels do nothing. Sessions are made and not run,
 * with the CPU's fallback forbidden and CUDA graphs on, so that an op without a kernel is named. MANIFESTS is the folder of the
 * reference's manifests: the names and shapes of the real networks' tensors. Needs a C compiler and binutils.
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findCuda } from "../packages/diffusion/dist/index.js";
import { buildHollowCuda } from "./hollow-cuda/build.mjs";

const [manifests, hollow] = process.argv.slice(2);
if (!manifests) {
  console.error("usage: node scripts/check-cuda-kernels.mjs MANIFESTS");
  process.exit(2);
}
if (hollow) await check(manifests, hollow);
else await buildAndCheck(manifests);

/** The loader reads its path when a process starts: so the check is a process of its own. */
async function buildAndCheck(folder) {
  const found = findCuda();
  if (!found) throw new Error('CUDA is not installed: run "npx kiln accel install cuda".');
  const into = await mkdtemp(join(tmpdir(), "kiln-hollow-"));
  try {
    await buildHollowCuda(found.folder, into);
    const env = { ...process.env, LD_LIBRARY_PATH: into };
    const { status } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), folder, into], { env, stdio: "inherit" });
    process.exitCode = status ?? 1;
  } finally {
    await rm(into, { recursive: true, force: true });
  }
}

async function check(folder, libraries) {
  const dist = "../packages/diffusion/dist";
  const { CudaMemory } = await import(`${dist}/backends/cuda/cuda-memory.js`);
  const { cudaOps } = await import(`${dist}/backends/cuda/cuda-ops.js`);
  const { loadCudaLibraries } = await import(`${dist}/backends/cuda/load-cuda.js`);
  const { lowerWithSizes } = await import(`${dist}/backends/cuda/lower.js`);
  const { OnnxRuntime } = await import(`${dist}/backends/onnxruntime-c/onnx-runtime.js`);
  loadCudaLibraries(libraries);
  const memory = new CudaMemory(libraries, 0);
  const runtime = new OnnxRuntime(join(libraries, "libonnxruntime.so.1.30.0"));
  const anywhere = memory.allocate(2 ** 20);
  for (const { name, graph, type, sizes } of await networks(folder, dist)) {
    const absent = new Set(graph.inputs.map((input) => input.name).filter((input) => input.startsWith("residual.")));
    const { model, weights } = lowerWithSizes(graph, { sizes: shapesOf(graph, sizes), absent, type, ops: cudaOps });
    // Weights are never read: each may lie anywhere.
    const tensors = new Map();
    for (const [weight, { shape, type: own }] of weights) {
      const byteLength = shape.reduce((product, size) => product * size, own === "float16" ? 2 : 4);
      tensors.set(weight, runtime.tensor({ place: memory.place, address: anywhere, byteLength, type: own, shape }));
    }
    try {
      const cuda = { device_id: "0", enable_cuda_graph: "1" };
      const config = { "session.disable_cpu_ep_fallback": "1" };
      (await runtime.createSession(model, { cuda, config, initializers: tensors })).release();
      console.log(`${name} in ${type}: every op has a kernel`);
    } catch (error) {
      console.log(`${name} in ${type}: ${error instanceof Error ? error.message : error}`);
      process.exitCode = 1;
    }
    for (const tensor of tensors.values()) runtime.releaseTensor(tensor);
  }
  memory.free(anywhere);
  await runtime.dispose();
}

/** SDXL's networks at 1024 pixels, two rows; the UNet also with an adapter's branch in every attention and every ResNet. */
async function networks(folder, dist) {
  const { GraphBuilder } = await import(`${dist}/graph/builder.js`);
  const { joinGraphs } = await import(`${dist}/graph/join-graphs.js`);
  const { Scope } = await import(`${dist}/models/scope.js`);
  const { unet } = await import(`${dist}/models/unet.js`);
  const { controlHint, controlNet } = await import(`${dist}/models/controlnet.js`);
  const { clipText } = await import(`${dist}/models/clip-text.js`);
  const { vaeDecoder, vaeEncoder } = await import(`${dist}/models/vae.js`);
  const infer = await import(`${dist}/checkpoint/infer-configs.js`);
  const { publishedVae } = await import(`${dist}/checkpoint/published-vae.js`);

  const read = async (manifest) => JSON.parse(await readFile(join(folder, `${manifest}.folder.json`), "utf8"));
  const weightsOf = (shapes) =>
    new Map(Object.entries(shapes).map(([name, shape]) => [name.replace(/^text_model\./, ""), view(shape)]));
  const build = (name, weights, network, config, adapted) => {
    const graph = new GraphBuilder(name);
    const scope = Scope.root(name, graph, weights, adapted);
    network(scope, config);
    scope.finish();
    return graph.build();
  };

  const base = await read("sdxl-base");
  const unetWeights = weightsOf(base["unet/diffusion_pytorch_model"]);
  const unetConfig = infer.inferUNetConfig(unetWeights, folder).config;
  const layers = [...unetWeights.keys()].filter((name) => /(to_[qkv]|resnets.*conv1|proj_in)\.weight$/.test(name));
  const adapted = new Set(layers.map((name) => name.replace(/\.weight$/, "")));
  const [controlShapes] = Object.values(await read("sdxl-controlnet"));
  const control = weightsOf(controlShapes);
  const vae = weightsOf(base["vae/diffusion_pytorch_model"]);
  const plain = build("UNet", unetWeights, unet, unetConfig);
  const controlConfig = infer.inferControlNetConfig(control, folder).config;
  const controlled = build("ControlNet", control, controlNet, controlConfig);
  const latents = { batch: 2, height: 128, width: 128 };
  const picture = { batch: 1, height: 1024, width: 1024 };
  const found = [
    { name: "UNet", graph: plain, type: "float16", sizes: latents },
    { name: "UNet with adapters", graph: build("UNet", unetWeights, unet, unetConfig, adapted), type: "float16", sizes: latents },
    { name: "UNet", graph: plain, type: "float32", sizes: latents },
    {
      name: "UNet joined with a ControlNet",
      graph: joinGraphs(plain, [{ graph: controlled, prefix: "control." }]),
      type: "float16",
      sizes: latents,
    },
    { name: "ControlNet hint", graph: build("hint", control, controlHint, controlConfig), type: "float16", sizes: picture },
    { name: "VAE decoder", graph: build("VAE", vae, vaeDecoder, publishedVae("sdxl")), type: "float32", sizes: latents },
    { name: "VAE encoder", graph: build("VAE", vae, vaeEncoder, publishedVae("sdxl")), type: "float32", sizes: picture },
  ];
  for (const name of ["text_encoder", "text_encoder_2"]) {
    const weights = weightsOf(base[`${name}/model`]);
    const graph = build(name, weights, clipText, infer.inferClipTextConfig(weights, folder));
    found.push({ name, graph, type: "float16", sizes: latents });
  }
  return found;
}

function view(shape) {
  const byteLength = shape.reduce((product, size) => product * size, 2);
  return { source: "/nowhere/weights", offset: 0, byteLength, type: "float16", shape };
}

/** Open sizes by their names; an adapter's rank is 16. */
function shapesOf(graph, sizes) {
  const named = { tokens: 77, "picture height": 1024, "picture width": 1024, ...sizes };
  const sizeOf = (size) => (typeof size === "number" ? size : (named[size] ?? (size.endsWith(" rank") ? 16 : 1)));
  return new Map(graph.inputs.map(({ name, shape }) => [name, shape.map(sizeOf)]));
}
