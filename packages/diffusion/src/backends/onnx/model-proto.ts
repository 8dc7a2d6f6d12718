import { BYTES_PER_ELEMENT, type StorageType, type TensorView } from "../../checkpoint/tensor-view.ts";
import { elementCount } from "../../checkpoint/views.ts";
import { MessageWriter } from "./protobuf.ts";

/** Writes ONNX models (onnx.proto, IR version 10): nodes, small inline tensors, and tensors that stay in their files. */

const IR_VERSION = 10;
const OPSET = 21;
/** The version of ONNX Runtime's own operators. */
const CONTRIB_OPSET = 1;
export const CONTRIB_DOMAIN = "com.microsoft";

/** onnx.TensorProto.DataType. */
export const DATA_TYPE: Readonly<Record<StorageType, number>> = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
  float8_e4m3fn: 17,
  float8_e5m2: 19,
};

/** onnx.AttributeProto.AttributeType. */
const ATTRIBUTE = { float: 1, int: 2, string: 3, ints: 7 } as const;

export type Attribute = number | { readonly float: number } | string | readonly number[];

/** Collects the parts of one model. Whole numbers among the attributes are ONNX ints, `{ float }` are floats. */
export class ModelWriter {
  readonly #graph = new MessageWriter();
  readonly #constants = new Map<string, string>();
  #names = 0;

  constructor(name: string) {
    this.#graph.string(2, name);
  }

  /** A name that nothing else has. */
  fresh(): string {
    return `v${this.#names++}`;
  }

  /** @param outputs how many, or for each whether it is wanted: an optional output that is not gets no name. */
  node(
    type: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = "",
    outputs: number | readonly boolean[] = 1,
  ): string[] {
    const message = new MessageWriter();
    for (const input of inputs) message.string(1, input);
    const wanted = typeof outputs === "number" ? new Array<boolean>(outputs).fill(true) : outputs;
    const names = wanted.map((is) => (is ? this.fresh() : ""));
    for (const name of names) message.string(2, name);
    message.string(4, type);
    for (const [name, value] of Object.entries(attributes)) message.message(5, attribute(name, value));
    if (domain !== "") message.string(7, domain);
    this.#graph.message(1, message);
    return names;
  }

  /** A node with one output. */
  op(type: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}, domain = ""): string {
    return this.node(type, inputs, attributes, domain)[0] ?? "";
  }

  input(name: string, type: StorageType, shape: readonly (number | string)[]): void {
    this.#graph.message(11, valueInfo(name, type, shape));
  }

  output(name: string, type: StorageType, shape?: readonly (number | string)[]): void {
    this.#graph.message(12, valueInfo(name, type, shape));
  }

  /** Gives a value a name of its own choosing, as graph outputs need. */
  rename(value: string, name: string): void {
    this.#graph.message(1, new MessageWriter().string(1, value).string(2, name).string(4, "Identity"));
  }

  /** An inline int64 vector, such as a shape; equal ones are written once. */
  ints(values: readonly number[]): string {
    return this.#once(
      `ints ${values.join()}`,
      "int64",
      [values.length],
      () => new Uint8Array(new BigInt64Array(values.map(BigInt)).buffer),
    );
  }

  /** An inline float32 tensor. */
  floats(values: Float32Array, shape: readonly number[]): string {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const name = this.fresh();
    this.#initializer(name, "float32", shape, (tensor) => tensor.bytes(9, bytes));
    return name;
  }

  /** An inline tensor of any type, as its bytes. */
  inline(type: StorageType, shape: readonly number[], bytes: Uint8Array): string {
    const name = this.fresh();
    this.#initializer(name, type, shape, (tensor) => tensor.bytes(9, bytes));
    return name;
  }

  /**
   * A tensor that is no part of the model: the session is given it by its name. The library checks that every tensor's numbers
   * are somewhere before it looks at what it was given, so this one claims to lie in the folder itself, which is never read.
   */
  given(type: StorageType, shape: readonly number[]): string {
    const name = this.fresh();
    const byteLength = elementCount(shape) * BYTES_PER_ELEMENT[type];
    this.#initializer(name, type, shape, (tensor) => external(tensor, ".", 0, byteLength));
    return name;
  }

  /** `count` equal float32 numbers as a vector. */
  filled(value: number, count: number): string {
    const bytes = () => new Uint8Array(new Float32Array(count).fill(value).buffer);
    return this.#once(`filled ${value} ${count}`, "float32", [count], bytes);
  }

  /** A tensor of a checkpoint, in its storage type. One in a file is named by path and offset and read by the library. */
  stored(view: TensorView, shape: readonly number[]): string {
    const name = this.fresh();
    this.#initializer(name, view.type, shape, (tensor) => {
      if (typeof view.source !== "string") {
        tensor.bytes(9, view.source.subarray(view.offset, view.offset + view.byteLength));
        return;
      }
      // The library resolves locations against the root folder and refuses a leading slash.
      external(tensor, view.source.replace(/^\/+/, ""), view.offset, view.byteLength);
    });
    return name;
  }

  finish(): Uint8Array {
    const model = new MessageWriter().int(1, IR_VERSION).string(2, "kiln").message(7, this.#graph);
    model.message(8, new MessageWriter().string(1, "").int(2, OPSET));
    model.message(8, new MessageWriter().string(1, CONTRIB_DOMAIN).int(2, CONTRIB_OPSET));
    return model.finish();
  }

  #once(key: string, type: StorageType, shape: readonly number[], bytes: () => Uint8Array): string {
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = this.fresh();
    this.#initializer(name, type, shape, (tensor) => tensor.bytes(9, bytes()));
    this.#constants.set(key, name);
    return name;
  }

  #initializer(name: string, type: StorageType, shape: readonly number[], data: (tensor: MessageWriter) => void): void {
    const tensor = new MessageWriter();
    for (const size of shape) tensor.int(1, size);
    tensor.int(2, DATA_TYPE[type]).string(8, name);
    data(tensor);
    this.#graph.message(5, tensor);
  }
}

/** Says that a tensor's numbers lie in a file. */
function external(tensor: MessageWriter, location: string, offset: number, length: number): void {
  for (const [key, value] of Object.entries({ location, offset: `${offset}`, length: `${length}` }))
    tensor.message(13, new MessageWriter().string(1, key).string(2, value));
  tensor.int(14, 1);
}

function attribute(name: string, value: Attribute): MessageWriter {
  const message = new MessageWriter().string(1, name);
  if (typeof value === "number") return message.int(3, value).int(20, ATTRIBUTE.int);
  if (typeof value === "string") return message.string(4, value).int(20, ATTRIBUTE.string);
  if ("float" in value) return message.float(2, value.float).int(20, ATTRIBUTE.float);
  for (const item of value) message.int(8, item);
  return message.int(20, ATTRIBUTE.ints);
}

function valueInfo(name: string, type: StorageType, shape: readonly (number | string)[] | undefined): MessageWriter {
  const tensor = new MessageWriter().int(1, DATA_TYPE[type]);
  if (shape) {
    const dims = new MessageWriter();
    for (const size of shape)
      dims.message(1, typeof size === "number" ? new MessageWriter().int(1, size) : new MessageWriter().string(2, size));
    tensor.message(2, dims);
  }
  return new MessageWriter().string(1, name).message(2, new MessageWriter().message(1, tensor));
}
