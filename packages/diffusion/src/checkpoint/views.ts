import type { TensorView } from "./tensor-view.ts";

/** The same bytes under another shape of as many elements. */
function reshaped(view: TensorView, shape: readonly number[]): TensorView {
  return { ...view, shape };
}

/** Part `index` of `parts` equal parts along the first dimension: a range of the same bytes. */
export function rowsPart(view: TensorView, index: number, parts: number): TensorView {
  const [rows = 0, ...rest] = view.shape;
  const byteLength = view.byteLength / parts;
  return { ...view, offset: view.offset + index * byteLength, byteLength, shape: [rows / parts, ...rest] };
}

/** A matrix that is stored as (in, out), named by the shape (out, in) that a linear layer has. */
export function transposedView(view: TensorView): TensorView {
  const [first = 0, second = 0] = view.shape;
  return { ...view, shape: [second, first], transposed: true };
}

/** A 1x1 convolution's kernel as the matrix that it is; any other view is returned as it came. */
export function squeezedKernel(view: TensorView): TensorView {
  const [out = 0, into = 0, height, width] = view.shape;
  return view.shape.length === 4 && height === 1 && width === 1 ? reshaped(view, [out, into]) : view;
}

/** How many numbers a tensor of this shape has. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
