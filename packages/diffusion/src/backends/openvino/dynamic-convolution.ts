import type { Ops } from "../../graph/graph.ts";
import type { IrWriter, Port } from "./ir-writer.ts";

export interface DynamicConvolution {
  readonly image: Port;
  /** [out, in, height, width]: an input of the graph. */
  readonly weight: Port;
  readonly kernel: readonly [height: number, width: number];
  readonly attributes: Ops["conv2d"];
}

/**
 * A convolution whose weights are an input, as adapters have: the plugin knows none. The shifted copies of the image that the
 * kernel's positions see are laid over each other as channels, and one multiplication does the rest.
 */
export function dynamicConvolution(
  writer: IrWriter,
  { image, weight, kernel: [height, width], attributes }: DynamicConvolution,
): Port {
  const [top, left, bottom, right] = attributes.padding;
  const zero = writer.constant("f32", [], new Uint8Array(4));
  const padded = writer.op("Pad", "opset1", [image, writer.ints([0, 0, top, left]), writer.ints([0, 0, bottom, right]), zero], {
    pad_mode: "constant",
  });
  const shifted: Port[] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++)
      shifted.push(shift(writer, padded, [y, x], [height - 1 - y, width - 1 - x], attributes.stride));
  }
  const [first] = shifted;
  if (!first) throw new Error("a kernel has at least one position");
  const columns = reshape(
    writer,
    shifted.length === 1 ? first : writer.op("Concat", "opset1", shifted, { axis: 1 }),
    writer.ints([0, 0, -1]),
  );
  // [out, in, height, width] to [out, height width in], the order of the copies.
  const rows = reshape(writer, writer.op("Transpose", "opset1", [weight, writer.ints([0, 2, 3, 1])]), writer.ints([0, -1]));
  const product = writer.op("MatMul", "opset1", [rows, columns], { transpose_a: false, transpose_b: false });
  const shape = writer.op("ShapeOf", "opset3", [first], { output_type: "i64" }, "i64");
  const size = writer.op("Gather", "opset8", [shape, writer.ints([2, 3]), writer.int(0)], { batch_dims: 0 }, "i64");
  return reshape(writer, product, writer.op("Concat", "opset1", [writer.ints([0, -1]), size], { axis: 0 }, "i64"));
}

/** What one position of the kernel sees: `before` rows and columns left out at the beginning, `after` at the end. */
function shift(
  writer: IrWriter,
  image: Port,
  before: readonly [number, number],
  after: readonly [number, number],
  stride: number,
): Port {
  const end = after.map((count) => -count);
  const mask = after.map((count) => (count === 0 ? 1 : 0));
  return writer.op(
    "StridedSlice",
    "opset1",
    [image, writer.ints([0, 0, ...before]), writer.ints([0, 0, ...end]), writer.ints([1, 1, stride, stride])],
    { begin_mask: "1,1,0,0", end_mask: `1,1,${mask.join()}`, new_axis_mask: "", shrink_axis_mask: "", ellipsis_mask: "" },
  );
}

function reshape(writer: IrWriter, x: Port, shape: Port): Port {
  return writer.op("Reshape", "opset1", [x, shape], { special_zero: true });
}
