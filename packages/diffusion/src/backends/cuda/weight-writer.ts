import type { NodeOf, Value } from "../../graph/graph.ts";
import type { ModelWriter } from "../onnx/model-proto.ts";
import { numberBytes } from "./float16.ts";
import type { Traced } from "./traced.ts";
import type { ComputeType, WeightLayout, WeightRequest } from "./weight-request.ts";

type Source = NodeOf<"weight"> | NodeOf<"constant">;

/**
 * Weights and constants of a model, each in the form that its users want: matrices and vectors as they lie, kernels channels last,
 * the vectors of GroupNorm in float32. Weights are named and not written: the session is given them.
 */
export class WeightWriter {
  /** What the session must be given, by name. */
  readonly requests = new Map<string, WeightRequest>();
  readonly #writer: ModelWriter;
  readonly #type: ComputeType;
  readonly #sources = new Map<number, Source>();
  readonly #names = new Map<string, string>();

  constructor(writer: ModelWriter, type: ComputeType) {
    this.#writer = writer;
    this.#type = type;
  }

  /** Notes a weight or constant; it is written when it is first used. */
  declare(node: Source): undefined {
    this.#sources.set(node.output.id, node);
  }

  /** As any other value, or undefined where it is none of these. */
  operand(value: Value): Traced | undefined {
    const source = this.#sources.get(value.id);
    return source && { name: this.#named(source, this.#type, "stored", source.attributes.shape), shape: source.attributes.shape };
  }

  vector(value: Value): string {
    return this.#vector(value, this.#type);
  }

  float32Vector(value: Value): string {
    return this.#vector(value, "float32");
  }

  /** (out, in) as it lies; a kernel of one pixel is one too. Undefined where the value is no weight. */
  matrix(value: Value): { name: string; out: number } | undefined {
    const source = this.#sources.get(value.id);
    if (!source) return undefined;
    const [out = 1, columns = 1] = source.attributes.shape;
    return { name: this.#named(source, this.#type, "stored", [out, columns]), out };
  }

  /** (out, height, width, in). */
  kernel(value: Value): { name: string; out: number } {
    const source = this.#source(value);
    const [out = 1, channels = 1, height = 1, width = 1] = source.attributes.shape;
    return { name: this.#named(source, this.#type, "channels-last", [out, height, width, channels]), out };
  }

  /** As the graph has it. */
  shapeOf(value: Value): readonly number[] {
    return this.#source(value).attributes.shape;
  }

  #vector(value: Value, type: ComputeType): string {
    const source = this.#source(value);
    return this.#named(source, type, "stored", source.attributes.shape);
  }

  #source(value: Value): Source {
    const source = this.#sources.get(value.id);
    if (!source) throw new Error(`value ${value.id} is no weight`);
    return source;
  }

  #named(source: Source, type: ComputeType, layout: WeightLayout, shape: readonly number[]): string {
    const key = `${source.output.id} ${type} ${layout} ${shape.join()}`;
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const name = this.#write(source, type, layout, shape);
    this.#names.set(key, name);
    return name;
  }

  #write(source: Source, type: ComputeType, layout: WeightLayout, shape: readonly number[]): string {
    if (source.op === "weight") {
      const name = this.#writer.given(type, shape);
      this.requests.set(name, { tensor: source.attributes.tensor, type, layout, shape });
      return name;
    }
    const { data } = source.attributes;
    const ordered = layout === "stored" ? data : kernelChannelsLast(data, shape);
    return this.#writer.inline(type, shape, numberBytes(ordered, type));
  }
}

/**
 * A convolution's numbers from (out, in, height, width) to (out, height, width, in).
 * @param to the sizes as they are to lie.
 */
export function kernelChannelsLast<A extends Float32Array | Uint16Array>(values: A, to: readonly number[]): A {
  const [out = 1, height = 1, width = 1, channels = 1] = to;
  const pixels = height * width;
  const turned = values.slice();
  for (let o = 0; o < out; o++) {
    const start = o * pixels * channels;
    for (let c = 0; c < channels; c++) {
      for (let p = 0; p < pixels; p++) turned[start + p * channels + c] = values[start + c * pixels + p] ?? 0;
    }
  }
  return turned as A;
}
