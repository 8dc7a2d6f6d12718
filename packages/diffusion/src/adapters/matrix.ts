/** A row-major matrix. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float32Array;
}

export function matrix(data: Float32Array, rows: number): Matrix {
  return { rows, columns: rows === 0 ? 0 : data.length / rows, data };
}

/** a @ b, summed in double precision. */
export function multiply(a: Matrix, b: Matrix): Matrix {
  const data = new Float32Array(a.rows * b.columns);
  const sums = new Float64Array(b.columns);
  for (let row = 0; row < a.rows; row++) {
    sums.fill(0);
    for (let k = 0; k < a.columns; k++) {
      const factor = a.data[row * a.columns + k] ?? 0;
      const start = k * b.columns;
      for (let column = 0; column < b.columns; column++)
        sums[column] = (sums[column] ?? 0) + factor * (b.data[start + column] ?? 0);
    }
    data.set(sums, row * b.columns);
  }
  return { rows: a.rows, columns: b.columns, data };
}

export function transposed(a: Matrix): Matrix {
  const data = new Float32Array(a.data.length);
  for (let row = 0; row < a.rows; row++) {
    for (let column = 0; column < a.columns; column++) data[column * a.rows + row] = a.data[row * a.columns + column] ?? 0;
  }
  return { rows: a.columns, columns: a.rows, data };
}

export function scaled(a: Matrix, factor: number): Matrix {
  return { ...a, data: factor === 1 ? a.data : a.data.map((value) => value * factor) };
}

export function identity(size: number): Matrix {
  const data = new Float32Array(size * size);
  for (let i = 0; i < size; i++) data[i * size + i] = 1;
  return { rows: size, columns: size, data };
}

/** The Kronecker product: block (i, j) of the result is a[i, j] * b. */
export function kronecker(a: Matrix, b: Matrix): Matrix {
  const columns = a.columns * b.columns;
  const data = new Float32Array(a.rows * b.rows * columns);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < a.columns; j++) {
      const factor = a.data[i * a.columns + j] ?? 0;
      if (factor === 0) continue;
      for (let k = 0; k < b.rows; k++) {
        const target = (i * b.rows + k) * columns + j * b.columns;
        for (let l = 0; l < b.columns; l++) data[target + l] = factor * (b.data[k * b.columns + l] ?? 0);
      }
    }
  }
  return { rows: a.rows * b.rows, columns, data };
}

/** Element by element. */
export function hadamard(a: Matrix, b: Matrix): Matrix {
  return { ...a, data: a.data.map((value, i) => value * (b.data[i] ?? 0)) };
}

/** Row-wise Khatri-Rao product: row i is the Kronecker product of the rows i. */
export function khatriRaoRows(a: Matrix, b: Matrix): Matrix {
  const columns = a.columns * b.columns;
  const data = new Float32Array(a.rows * columns);
  for (let row = 0; row < a.rows; row++) {
    for (let i = 0; i < a.columns; i++) {
      const factor = a.data[row * a.columns + i] ?? 0;
      for (let j = 0; j < b.columns; j++) data[row * columns + i * b.columns + j] = factor * (b.data[row * b.columns + j] ?? 0);
    }
  }
  return { rows: a.rows, columns, data };
}

/** Each row of a times each row of b, element by element: row (i, j) of the result is a[i] * b[j]. */
export function rowProducts(a: Matrix, b: Matrix): Matrix {
  const { columns } = a;
  const data = new Float32Array(a.rows * b.rows * columns);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < b.rows; j++) {
      const target = (i * b.rows + j) * columns;
      for (let k = 0; k < columns; k++) data[target + k] = (a.data[i * columns + k] ?? 0) * (b.data[j * columns + k] ?? 0);
    }
  }
  return { rows: a.rows * b.rows, columns, data };
}

/**
 * Folds a Tucker core into its second factor: from core (p, q, kernel) and factor (q, inputs) to
 * (p, inputs, kernel), flattened to p rows.
 */
export function foldCore(core: Float32Array, p: number, q: number, factor: Matrix): Matrix {
  const kernel = core.length / (p * q);
  const data = new Float32Array(p * factor.columns * kernel);
  for (let i = 0; i < p; i++) {
    for (let k = 0; k < kernel; k++) {
      // One slice of the core is a row vector over q; its product with the factor is a row over the inputs.
      const slice = new Float32Array(q);
      for (let j = 0; j < q; j++) slice[j] = core[(i * q + j) * kernel + k] ?? 0;
      const row = multiply({ rows: 1, columns: q, data: slice }, factor).data;
      for (let input = 0; input < factor.columns; input++) data[(i * factor.columns + input) * kernel + k] = row[input] ?? 0;
    }
  }
  return { rows: p, columns: factor.columns * kernel, data };
}
