import { hadamard, identity, khatriRaoRows, kronecker, type Matrix, multiply, rowProducts, scaled } from "./matrix.ts";

/**
 * What an adapter adds to one weight, with alpha / rank folded in and the user's weight not:
 * `delta W = up @ down`, with `down` flattened to (rank, inputs). A change that has no cheap pair is kept whole on one side,
 * with the identity on the other.
 */
export interface LayerFactors {
  readonly rank: number;
  /** What follows the outputs in the weight's shape: [in] of a linear layer, [in, height, width] of a convolution. */
  readonly inShape: readonly number[];
  /** Outputs of the layer. */
  readonly out: number;
  /** (rank, ...inShape) */
  readonly down: Float32Array;
  /** (out, rank) */
  readonly up: Float32Array;
}

/** A delta as one product, or as two or more that must be combined first. */
export type Decomposition =
  | { readonly kind: "product"; readonly up: Matrix; readonly down: Matrix }
  | { readonly kind: "dense"; readonly delta: Matrix };

/** Otherwise the whole delta beside an identity is a pair of no higher rank. */
function pairIsCheaper(rank: number, outputs: number, inputs: number): boolean {
  return rank < Math.min(outputs, inputs);
}

/**
 * The elementwise product of two low-rank matrices (LoHa, "FedPara", arXiv 2108.06098, proposition 1): exactly of rank
 * r1 * r2, as the row-wise Khatri-Rao product of the ups and the products of all pairs of rows of the downs.
 */
export function hadamardOfProducts(up1: Matrix, down1: Matrix, up2: Matrix, down2: Matrix): Decomposition {
  if (pairIsCheaper(down1.rows * down2.rows, up1.rows, down1.columns)) {
    return { kind: "product", up: khatriRaoRows(up1, up2), down: rowProducts(down1, down2) };
  }
  return { kind: "dense", delta: hadamard(multiply(up1, down1), multiply(up2, down2)) };
}

/** A matrix given whole, or as a product of two. */
export type Factor = { readonly whole: Matrix } | { readonly up: Matrix; readonly down: Matrix };

/**
 * The Kronecker product of two matrices (LoKr, LyCORIS, arXiv 2309.14859, section 3). As
 * (A B) kron (C D) = (A kron C)(B kron D), it stays a pair where both sides together are of low rank.
 */
export function kroneckerOfFactors(first: Factor, second: Factor): Decomposition {
  const a = asPair(first);
  const b = asPair(second);
  const outputs = a.up.rows * b.up.rows;
  const inputs = a.down.columns * b.down.columns;
  if (pairIsCheaper(a.down.rows * b.down.rows, outputs, inputs)) {
    return { kind: "product", up: kronecker(a.up, b.up), down: kronecker(a.down, b.down) };
  }
  return { kind: "dense", delta: kronecker(asWhole(first), asWhole(second)) };
}

function asPair(factor: Factor): { up: Matrix; down: Matrix } {
  return "up" in factor ? factor : wholeAsPair(factor.whole);
}

/** A whole matrix is a product with the smaller identity. */
function wholeAsPair(whole: Matrix): { up: Matrix; down: Matrix } {
  return whole.rows <= whole.columns ? { up: identity(whole.rows), down: whole } : { up: whole, down: identity(whole.columns) };
}

function asWhole(factor: Factor): Matrix {
  return "up" in factor ? multiply(factor.up, factor.down) : factor.whole;
}

/**
 * Brings a decomposition into the form that layers use.
 * @param scale alpha / rank
 * @param shape of the layer's weight
 */
export function toFactors(decomposition: Decomposition, scale: number, shape: readonly number[]): LayerFactors {
  const [out = 0, ...inShape] = shape;
  const { up, down } = decomposition.kind === "dense" ? wholeAsPair(decomposition.delta) : decomposition;
  return { rank: down.rows, inShape, out, down: down.data, up: scaled(up, scale).data };
}
