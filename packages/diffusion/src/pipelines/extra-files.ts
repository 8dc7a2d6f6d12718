import { basename } from "node:path";
import { type Adapter, fitAdapter, openAdapter } from "../adapters/adapter.ts";
import { type Distilled, findDistilled } from "../checkpoint/distilled.ts";
import { readTensor } from "../checkpoint/read-tensor.ts";
import { openSafetensors } from "../checkpoint/safetensors.ts";
import type { WeightedAdapter } from "../networks/adapter-stack.ts";
import { parseTextualInversion, type TextualInversion } from "../text/textual-inversion.ts";
import { checkAdapterFits } from "./adapter-memory.ts";
import type { DiffusionModel } from "./diffusion-model.ts";
import type { Extras } from "./draw-pass.ts";
import { Kept } from "./kept.ts";
import type { GenerateRequest, LoraRequest } from "./request.ts";

/** Opened adapters and embeddings that are kept: each holds a header and, once used, its matrices. */
const KEPT_FILES = 16;

/** A refiner has its own layers: adapters and embeddings of the base mean nothing to it. */
export const NO_EXTRAS: Extras = { unetAdapters: [], textAdapters: [], inversions: [] };

interface OpenedAdapter {
  readonly adapter: Adapter;
  /** The few-step training that the file says it carries. */
  readonly distilled: Distilled | undefined;
}

/** The LoRAs and embeddings that requests name, opened for the checkpoint that draws with them. */
export class ExtraFiles {
  readonly #memoryLimit: number | undefined;
  readonly #adapters = new Kept<OpenedAdapter>(KEPT_FILES);
  readonly #inversions = new Kept<TextualInversion>(KEPT_FILES);

  constructor(memoryLimit: number | undefined) {
    this.#memoryLimit = memoryLimit;
  }

  /**
   * What a request's LoRAs and embeddings come to for a model.
   * @throws KilnError file_*, adapter_mismatch, out_of_memory
   */
  async open({ loras = [], embeddings = [] }: GenerateRequest, model: DiffusionModel): Promise<Extras> {
    const opened = await this.#openLoras(loras, model);
    return {
      unetAdapters: acting(opened.map(({ adapter, request: { weight = 1 } }) => ({ adapter, weight }))),
      textAdapters: acting(
        opened.map(({ adapter, request: { weight = 1, textEncoderWeight = weight } }) => ({
          adapter,
          weight: textEncoderWeight,
        })),
      ),
      inversions: await Promise.all(
        embeddings.map(({ file, token }) => this.#inversions.get(`${file}\n${token ?? ""}`, () => openInversion(file, token))),
      ),
    };
  }

  /** The few-step kinds of training that the LoRAs carry. Errors as for `open`. */
  async distilled({ loras = [] }: GenerateRequest, model: DiffusionModel): Promise<Distilled[]> {
    return (await this.#openLoras(loras, model)).flatMap(({ distilled }) => distilled ?? []);
  }

  #openLoras(loras: readonly LoraRequest[], model: DiffusionModel): Promise<(OpenedAdapter & { request: LoraRequest })[]> {
    return Promise.all(
      loras.map(async (request) => ({
        ...(await this.#adapters.get(`${request.file}\n${model.checkpoint.path}`, () => this.#openLora(request.file, model))),
        request,
      })),
    );
  }

  async #openLora(path: string, { checkpoint }: DiffusionModel): Promise<OpenedAdapter> {
    const file = await openAdapter(path);
    const distilled = findDistilled({ name: basename(path, ".safetensors"), metadata: file.metadata, timeCondProjDim: null });
    const adapter = fitAdapter(file, checkpoint.weights);
    checkAdapterFits(adapter, this.#memoryLimit);
    return { adapter, distilled };
  }
}

/** A weight of zero is no adapter: the plain network draws, to the same bits. */
function acting(adapters: readonly WeightedAdapter[]): readonly WeightedAdapter[] {
  return adapters.filter(({ weight }) => weight !== 0);
}

async function openInversion(file: string, token: string | undefined): Promise<TextualInversion> {
  const { tensors } = await openSafetensors(file);
  const read = await Promise.all(
    [...tensors].map(async ([name, view]) => [name, { shape: view.shape, data: await readTensor(view) }] as const),
  );
  return parseTextualInversion(new Map(read), basename(file, ".safetensors"), token);
}
