import { readTensor } from "../checkpoint/read-tensor.ts";
import { firstNonFinite } from "../checkpoint/storage-types.ts";
import type { TensorView } from "../checkpoint/tensor-view.ts";
import { elementCount } from "../checkpoint/views.ts";
import { KilnError } from "../errors.ts";
import type { PartName, Parts } from "./adapter-keys.ts";
import type { AdapterNetwork, Target } from "./adapter-targets.ts";
import {
  type Decomposition,
  type Factor,
  hadamardOfProducts,
  kroneckerOfFactors,
  type LayerFactors,
  toFactors,
} from "./factors.ts";
import { foldCore, type Matrix, matrix, transposed } from "./matrix.ts";

/** Published adapters stay under 1,024; a larger number would be a file made to cost time. */
const MAX_RANK = 4096;

/** A Tucker core has the square of its rank; published ones stay under 64. */
const MAX_CORE_RANK = 512;

/** Alpha from the file's metadata; rank-stabilised LoRA (arXiv 2312.03732) divides it by the root of the rank. */
export interface MetadataAlpha {
  readonly alpha: number;
  readonly rankStabilised: boolean;
}

export type AdapterKind = "lora" | "loha" | "lokr" | "full";

/** What an adapter file holds for one layer of the model. The numbers are read when `factors` is called. */
export interface AdapterLayer {
  readonly network: AdapterNetwork;
  /** The layer's name in our weights, without `.weight`. */
  readonly layer: string;
  /** Of the weight that is changed. */
  readonly shape: readonly number[];
  readonly kind: AdapterKind;
  /** Bytes in the file. */
  readonly bytes: number;
  /** Of the pair that the factors come to: a change without a cheap pair has as much rank as the weight itself. */
  readonly rank: number;
  /**
   * Reads the numbers and brings them into one form.
   * @throws KilnError numeric where one of them is NaN or infinite, file_corrupt where the file has changed
   */
  factors(): Promise<LayerFactors>;
}

/**
 * Ties a file's parts to the layer that they are for, and checks their shapes against its weight.
 * @param module the layer's name in the file, for messages
 * @throws KilnError adapter_mismatch where the shapes do not fit, file_corrupt where parts are missing
 */
export function adapterLayer(
  target: Target,
  parts: Parts,
  module: string,
  file: string,
  alpha: MetadataAlpha | undefined,
): AdapterLayer {
  const { network, layer, shape } = target;
  const [outputs = 0, ...rest] = shape;
  const source: Source = { parts, module, file, alpha, outputs, inputs: elementCount(rest), channels: rest[0] ?? 0, shape };
  const kind = kindOf(parts);
  if (kind === undefined) throw broken(source, "it lacks one of its parts");
  const { rank, factors } = BUILDERS[kind](source);
  let bytes = 0;
  for (const view of parts.values()) bytes += view.byteLength;
  return { network, layer, shape, kind, bytes, rank: Math.min(rank, wholeRank(source)), factors };
}

interface Source {
  readonly parts: Parts;
  readonly module: string;
  readonly file: string;
  /** From the file's metadata, where there is no tensor for it. */
  readonly alpha: MetadataAlpha | undefined;
  readonly outputs: number;
  /** Input channels times kernel. */
  readonly inputs: number;
  readonly channels: number;
  readonly shape: readonly number[];
}

type Build = Pick<AdapterLayer, "rank" | "factors">;

/** No matrix of this shape has more. */
function wholeRank({ outputs, inputs }: Pick<Source, "outputs" | "inputs">): number {
  return Math.min(outputs, inputs);
}

const BUILDERS: Readonly<Record<AdapterKind, (source: Source) => Build>> = { lora, loha, lokr, full };

function kindOf(parts: Parts): AdapterKind | undefined {
  if (parts.has("down") && parts.has("up")) return "lora";
  if (parts.has("hada_w1_a")) return "loha";
  if (parts.has("lokr_w1") || parts.has("lokr_w1_a")) return "lokr";
  return parts.has("diff") ? "full" : undefined;
}

/** LoRA ("LoRA", arXiv 2106.09685, section 4.1); `mid` is LoCon's core of a convolution in CP form (LyCORIS, arXiv 2309.14859). */
function lora(source: Source): Build {
  const down = need(source, "down");
  const up = need(source, "up");
  const mid = source.parts.get("mid");
  const rank = checkRank(source, down.shape[0]);
  const upRank = mid === undefined ? rank : checkRank(source, mid.shape[0], MAX_CORE_RANK);
  expectShape(source, "up", up, [source.outputs, upRank]);
  if (mid === undefined) expectShape(source, "down", down, [rank, source.inputs]);
  else {
    expectShape(source, "down", down, [rank, source.channels]);
    expectShape(source, "mid", mid, [upRank, rank, source.inputs / source.channels]);
  }
  const factors = async () => {
    const downMatrix = matrix(await read(source, down), rank);
    const folded = mid === undefined ? downMatrix : foldCore(await read(source, mid), upRank, rank, downMatrix);
    const product: Decomposition = { kind: "product", up: matrix(await read(source, up), source.outputs), down: folded };
    return toFactors(product, await readScale(source, rank), source.shape);
  };
  return { rank: upRank, factors };
}

/** LoHa: (w1_a @ w1_b) * (w2_a @ w2_b), element by element, each with a Tucker core for convolutions. */
function loha(source: Source): Build {
  const halves = [
    loHaHalf(source, "hada_w1_a", "hada_w1_b", "hada_t1"),
    loHaHalf(source, "hada_w2_a", "hada_w2_b", "hada_t2"),
  ] as const;
  const [first, second] = halves;
  const factors = async () => {
    const [a, b] = [await first.read(), await second.read()];
    return toFactors(hadamardOfProducts(a.up, a.down, b.up, b.down), await readScale(source, first.rank), source.shape);
  };
  return { rank: first.pairRank * second.pairRank, factors };
}

interface Half {
  /** What alpha is divided by. */
  readonly rank: number;
  /** Rows of its `down`. */
  readonly pairRank: number;
  readonly read: () => Promise<{ up: Matrix; down: Matrix }>;
}

function loHaHalf(source: Source, nameA: PartName, nameB: PartName, nameCore: PartName): Half {
  const a = need(source, nameA);
  const b = need(source, nameB);
  const core = source.parts.get(nameCore);
  const rank = checkRank(source, b.shape[0]);
  if (core === undefined) {
    expectShape(source, nameA, a, [source.outputs, rank]);
    expectShape(source, nameB, b, [rank, source.inputs]);
    return {
      rank,
      pairRank: rank,
      read: async () => ({ up: matrix(await read(source, a), source.outputs), down: matrix(await read(source, b), rank) }),
    };
  }
  return tuckerHalf(source, {
    a,
    b,
    core,
    nameA,
    nameB,
    nameCore,
    outputs: source.outputs,
    channels: source.channels,
    kernel: source.inputs / source.channels,
  });
}

interface Tucker {
  readonly a: TensorView;
  readonly b: TensorView;
  readonly core: TensorView;
  readonly nameA: PartName;
  readonly nameB: PartName;
  readonly nameCore: PartName;
  readonly outputs: number;
  readonly channels: number;
  readonly kernel: number;
}

/** LyCORIS' Tucker form: core (p, q, kernel), a (p, out), b (q, in): `delta[o, i, k] = sum core[p, q, k] a[p, o] b[q, i]`. */
function tuckerHalf(source: Source, { a, b, core, nameA, nameB, nameCore, outputs, channels, kernel }: Tucker): Half {
  const outer = checkRank(source, a.shape[0], MAX_CORE_RANK);
  const rank = checkRank(source, b.shape[0], MAX_CORE_RANK);
  expectShape(source, nameA, a, [outer, outputs]);
  expectShape(source, nameB, b, [rank, channels]);
  expectShape(source, nameCore, core, [outer, rank, kernel]);
  return {
    rank,
    pairRank: outer,
    read: async () => ({
      up: transposed(matrix(await read(source, a), outer)),
      down: foldCore(await read(source, core), outer, rank, matrix(await read(source, b), rank)),
    }),
  };
}

/** LoKr: w1 kron w2, each whole or as a product; only the second carries a convolution's kernel. */
function lokr(source: Source): Build {
  const first = kronFactor(source, "lokr_w1", "lokr_w1_a", "lokr_w1_b", undefined);
  const second = kronFactor(source, "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2");
  if (
    first.outputs * second.outputs !== source.outputs ||
    first.inputs * second.inputs !== source.inputs ||
    first.inputs * second.channels !== source.channels
  ) {
    const product = [first.outputs * second.outputs, first.inputs * second.inputs];
    throw mismatch(
      source,
      `it makes a change of shape [${product.join(", ")}] for ${source.outputs} outputs and ${source.inputs} inputs`,
    );
  }
  const rank = second.rank ?? first.rank;
  const factors = async () => {
    const decomposition = kroneckerOfFactors(await first.read(), await second.read());
    // Where neither side is factored there is no rank, and LyCORIS sets alpha to it.
    return toFactors(decomposition, rank === undefined ? 1 : await readScale(source, rank), source.shape);
  };
  return { rank: first.pairRank * second.pairRank, factors };
}

interface KronFactor {
  readonly outputs: number;
  readonly inputs: number;
  readonly channels: number;
  /** Undefined where the matrix is stored whole. */
  readonly rank: number | undefined;
  readonly pairRank: number;
  readonly read: () => Promise<Factor>;
}

function kronFactor(
  source: Source,
  whole: PartName,
  nameA: PartName,
  nameB: PartName,
  nameCore: PartName | undefined,
): KronFactor {
  const view = source.parts.get(whole);
  if (view !== undefined) {
    const [outputs = 0, channels = 0] = view.shape;
    if (view.shape.length < 2 || view.byteLength === 0) throw broken(source, `its ${whole} has shape [${view.shape.join(", ")}]`);
    const inputs = elementCount(view.shape.slice(1));
    return {
      outputs,
      inputs,
      channels,
      rank: undefined,
      pairRank: wholeRank({ outputs, inputs }),
      read: async () => ({ whole: matrix(await read(source, view), outputs) }),
    };
  }
  const a = need(source, nameA);
  const b = need(source, nameB);
  const core = nameCore === undefined ? undefined : source.parts.get(nameCore);
  const rank = checkRank(source, b.shape[0]);
  if (core !== undefined && nameCore !== undefined) {
    const [outputs = 0, channels = 0] = [a.shape[1], b.shape[1]];
    const kernel = elementCount(core.shape.slice(2));
    const half = tuckerHalf(source, { a, b, core, nameA, nameB, nameCore, outputs, channels, kernel });
    return { outputs, inputs: channels * kernel, channels, rank, pairRank: half.pairRank, read: half.read };
  }
  const [outputs = 0] = a.shape;
  const inputs = elementCount(b.shape.slice(1));
  expectShape(source, nameA, a, [outputs, rank]);
  // The kernel may be flattened into the columns of b; the weight's shape tells how large it is.
  const kernel = nameCore === undefined ? 1 : source.inputs / source.channels;
  return {
    outputs,
    inputs,
    channels: inputs / kernel,
    rank,
    pairRank: rank,
    read: async () => ({ up: matrix(await read(source, a), outputs), down: matrix(await read(source, b), rank) }),
  };
}

/** A whole difference (LyCORIS "full"): alpha does not apply. */
function full(source: Source): Build {
  const diff = need(source, "diff");
  expectShape(source, "diff", diff, [source.outputs, source.inputs]);
  const factors = async () =>
    toFactors({ kind: "dense", delta: matrix(await read(source, diff), source.outputs) }, 1, source.shape);
  return { rank: wholeRank(source), factors };
}

async function readScale(source: Source, rank: number): Promise<number> {
  const view = source.parts.get("alpha");
  if (view === undefined) {
    if (source.alpha === undefined) return 1;
    return source.alpha.alpha / (source.alpha.rankStabilised ? Math.sqrt(rank) : rank);
  }
  if (elementCount(view.shape) !== 1) throw broken(source, `its alpha has shape [${view.shape.join(", ")}]`);
  const [alpha = 0] = await read(source, view);
  return alpha / rank;
}

async function read(source: Source, view: TensorView): Promise<Float32Array> {
  const values = await readTensor(view);
  if (firstNonFinite(values) >= 0) {
    const message = `${source.file}: the values for ${source.module} hold NaN or infinity, so every picture would be spoilt: use another version of the file.`;
    throw new KilnError("numeric", message, { subject: source.file });
  }
  return values;
}

function need(source: Source, name: PartName): TensorView {
  const view = source.parts.get(name);
  if (view === undefined) throw broken(source, `its ${name} is missing`);
  return view;
}

function checkRank(source: Source, rank: number | undefined, most = MAX_RANK): number {
  if (rank === undefined || rank < 1 || rank > most)
    throw broken(source, `its rank is ${rank ?? "not given"}, outside 1 to ${most}`);
  return rank;
}

/** Compares after flattening what follows the last expected dimension: kernels are stored as dimensions or flat. */
function expectShape(source: Source, part: PartName, view: TensorView, expected: readonly number[]): void {
  const lead = expected.length - 1;
  const fits =
    view.shape.length >= lead &&
    expected.slice(0, lead).every((size, i) => view.shape[i] === size) &&
    elementCount(view.shape.slice(lead)) === expected[lead];
  if (fits) return;
  throw mismatch(source, `its ${part} has shape [${view.shape.join(", ")}] where [${expected.join(", ")}] fits`);
}

function mismatch(source: Source, what: string): KilnError {
  const message = `${source.file} does not fit this model: for ${source.module}, whose weight is [${source.shape.join(", ")}], ${what}. Use an adapter that was made for this model's family.`;
  return new KilnError("adapter_mismatch", message, { subject: source.file });
}

function broken(source: Source, what: string): KilnError {
  const message = `${source.file}: what it holds for ${source.module} is no adapter, as ${what}. Download it again.`;
  return new KilnError("file_corrupt", message, { subject: source.file });
}
