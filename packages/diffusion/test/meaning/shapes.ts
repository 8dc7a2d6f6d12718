/** Outlines as the demo's teacher drew them: see `shape_points` in models/kiln-demo-recipe/scenes.py. */
export const SHAPES = ["circle", "square", "triangle", "star", "heart"] as const;
export type Shape = (typeof SHAPES)[number];

type Point = readonly [number, number];

const OUTLINE_POINTS = 180;

/** The outline of a shape with a radius of about 1; y points down. */
export function outline(shape: Shape): Point[] {
  const around = (points: number, at: (angle: number, index: number) => Point): Point[] =>
    Array.from({ length: points }, (_, i) => at((2 * Math.PI * i) / points, i));
  switch (shape) {
    case "circle":
      return around(OUTLINE_POINTS, (angle) => [Math.cos(angle), Math.sin(angle)]);
    case "square":
      return [[-0.87, -0.87], [0.87, -0.87], [0.87, 0.87], [-0.87, 0.87]]; // biome-ignore format: corners read best on one line
    case "triangle":
      return [[0, -1.02], [1.08, 0.84], [-1.08, 0.84]]; // biome-ignore format: as above
    case "star":
      return around(10, (angle, i) => {
        const radius = i % 2 === 0 ? 1.16 : 0.5;
        return [radius * Math.cos(angle - Math.PI / 2), radius * Math.sin(angle - Math.PI / 2) + 0.06];
      });
    case "heart":
      return around(OUTLINE_POINTS, (t) => {
        const y = 13 * Math.cos(t) - 5 * Math.cos(2 * t) - 2 * Math.cos(3 * t) - Math.cos(4 * t);
        return [(16 * Math.sin(t) ** 3) / 15.2, -y / 15.2 - 0.02];
      });
  }
}

/** A shape filled and stretched to a box of `side` × `side`, and the ratio of width to height that it had. */
export interface Template {
  readonly filled: Uint8Array;
  readonly aspect: number;
}

export function template(shape: Shape, side: number): Template {
  const points = outline(shape);
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const [width, height] = [Math.max(...xs) - left, Math.max(...ys) - top];
  const stretched = points.map(([x, y]): Point => [((x - left) / width) * side, ((y - top) / height) * side]);
  const filled = Uint8Array.from({ length: side * side }, (_, i) => {
    const [x, y] = [(i % side) + 0.5, Math.floor(i / side) + 0.5];
    return inside(stretched, x, y) ? 1 : 0;
  });
  return { filled, aspect: width / height };
}

/** Whether a point lies in a polygon: a ray to its right crosses the outline an odd number of times. */
function inside(polygon: readonly Point[], x: number, y: number): boolean {
  let odd = false;
  polygon.forEach(([x1, y1], i) => {
    const [x2, y2] = polygon[(i + 1) % polygon.length] ?? [x1, y1];
    if (y1 > y !== y2 > y && x < x1 + ((y - y1) / (y2 - y1)) * (x2 - x1)) odd = !odd;
  });
  return odd;
}
