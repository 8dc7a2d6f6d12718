/** Writes OpenVINO's intermediate representation, version 11: layers and edges as XML, constants by their place in one buffer. */

/** An output port of a layer. */
export interface Port {
  readonly layer: number;
  readonly port: number;
}

export type ElementType = "f32" | "f16" | "bf16" | "f64" | "f8e4m3" | "f8e5m2" | "i64" | "i32" | "u8" | "i8" | "boolean";

/** What the reader calls element types where it names a port. */
const PRECISION: Readonly<Record<ElementType, string>> = {
  f32: "FP32",
  f16: "FP16",
  bf16: "BF16",
  f64: "FP64",
  f8e4m3: "F8E4M3",
  f8e5m2: "F8E5M2",
  i64: "I64",
  i32: "I32",
  u8: "U8",
  i8: "I8",
  boolean: "BOOL",
};

/** The mark of a constant that is stored narrow and computed wide: the plugin keeps it narrow. */
const DECOMPRESSION = '<rt_info><attribute name="decompression" version="0"/></rt_info>';

/** Collects the layers of one model; what each method gives is the port that later layers read. */
export class IrWriter {
  readonly #layers: string[] = [];
  readonly #edges: string[] = [];
  readonly #constants: Uint8Array[] = [];
  readonly #known = new Map<string, Port>();
  readonly #constantsAt: number;
  #constantBytes = 0;

  /** @param constantsAt where the graph's own constants begin in the buffer. */
  constructor(constantsAt: number) {
    this.#constantsAt = constantsAt;
  }

  parameter(name: string, type: ElementType, shape: readonly (number | string)[]): Port {
    const sizes = shape.map((size) => (typeof size === "number" ? size : "?")).join(",");
    return this.#layer("Parameter", "opset1", `<data shape="${sizes}" element_type="${type}"/>`, [], [type], { name });
  }

  /** A tensor at a place of the buffer. */
  stored(type: ElementType, shape: readonly number[], offset: number, size: number): Port {
    return this.#layer(
      "Const",
      "opset1",
      `<data element_type="${type}" shape="${shape.join(",")}" offset="${offset}" size="${size}"/>`,
      [],
      [type],
    );
  }

  /** A constant of the graph's own; equal ones are written once. */
  constant(type: ElementType, shape: readonly number[], bytes: Uint8Array): Port {
    const offset = this.#constantsAt + this.#constantBytes;
    this.#constants.push(bytes);
    this.#constantBytes += bytes.byteLength;
    return this.stored(type, shape, offset, bytes.byteLength);
  }

  ints(values: readonly number[]): Port {
    return this.#once(`ints ${values.join()}`, () =>
      this.constant("i64", [values.length], new Uint8Array(new BigInt64Array(values.map(BigInt)).buffer)),
    );
  }

  int(value: number): Port {
    return this.#once(`int ${value}`, () => this.constant("i64", [], new Uint8Array(new BigInt64Array([BigInt(value)]).buffer)));
  }

  float(value: number): Port {
    return this.#once(`float ${value}`, () => this.constant("f32", [1], new Uint8Array(new Float32Array([value]).buffer)));
  }

  /** To float32. `decompression` for weights that may stay narrow. */
  convert(x: Port, decompression: boolean): Port {
    return this.#layer("Convert", "opset1", '<data destination_type="f32"/>', [x], ["f32"], {
      info: decompression ? DECOMPRESSION : "",
    });
  }

  op(
    type: string,
    opset: string,
    inputs: readonly Port[],
    attributes: Readonly<Record<string, string | number | boolean>> = {},
    output: ElementType = "f32",
  ): Port {
    return this.#layer(type, opset, dataOf(attributes), inputs, [output]);
  }

  /** An op with several outputs, all of one type. */
  split(x: Port, axis: number, lengths: readonly number[]): Port[] {
    const first = this.#layer(
      "VariadicSplit",
      "opset1",
      "",
      [x, this.int(axis), this.ints(lengths)],
      lengths.map((): ElementType => "f32"),
    );
    return lengths.map((_, i) => ({ layer: first.layer, port: first.port + i }));
  }

  result(x: Port): void {
    this.#layer("Result", "opset1", "", [x], []);
  }

  finish(name: string): { xml: string; constants: Uint8Array } {
    const xml = `<?xml version="1.0"?><net name="${name}" version="11"><layers>${this.#layers.join("")}</layers><edges>${this.#edges.join("")}</edges></net>`;
    return { xml, constants: Buffer.concat(this.#constants) };
  }

  #layer(
    type: string,
    opset: string,
    data: string,
    inputs: readonly Port[],
    outputs: readonly ElementType[],
    extra: { name?: string; info?: string } = {},
  ): Port {
    const id = this.#layers.length;
    for (const [port, from] of inputs.entries()) {
      this.#edges.push(`<edge from-layer="${from.layer}" from-port="${from.port}" to-layer="${id}" to-port="${port}"/>`);
    }
    const inPorts = inputs.map((_, port) => `<port id="${port}"/>`).join("");
    const outPorts = outputs.map((output, i) => `<port id="${inputs.length + i}" precision="${PRECISION[output]}"/>`).join("");
    const input = inPorts === "" ? "" : `<input>${inPorts}</input>`;
    const output = outPorts === "" ? "" : `<output>${outPorts}</output>`;
    this.#layers.push(
      `<layer id="${id}" name="${escapeXml(extra.name ?? `n${id}`)}" type="${type}" version="${opset}">${data}${extra.info ?? ""}${input}${output}</layer>`,
    );
    return { layer: id, port: inputs.length };
  }

  #once(key: string, make: () => Port): Port {
    const port = this.#known.get(key) ?? make();
    this.#known.set(key, port);
    return port;
  }
}

function dataOf(attributes: Readonly<Record<string, string | number | boolean>>): string {
  const entries = Object.entries(attributes);
  return entries.length === 0 ? "" : `<data ${entries.map(([name, value]) => `${name}="${value}"`).join(" ")}/>`;
}

function escapeXml(text: string): string {
  return text.replace(/[<>&"]/g, "_");
}
