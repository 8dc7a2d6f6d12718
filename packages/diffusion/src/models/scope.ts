import type { Weights } from "../checkpoint/tensor-view.ts";
import { KilnError } from "../errors.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/graph.ts";

/** Missing or misshapen tensors named in one error message; the rest are counted. */
const NAMED_PROBLEMS = 5;

/**
 * A place in a network: the graph under construction, and the part of the weights whose names begin
 * with `path`. Model files walk it as the published modules are nested: `scope.at("mid_block.resnets.0")`.
 */
export class Scope {
  readonly graph: GraphBuilder;
  readonly path: string;
  readonly #network: Network;

  private constructor(network: Network, path: string) {
    this.#network = network;
    this.graph = network.graph;
    this.path = path;
  }

  /**
   * The outermost place of a network.
   * @param name     what error messages call the network ("UNet").
   * @param adapters layers (by path) that get a low-rank branch beside their weights: see `layers.ts`.
   */
  static root(name: string, graph: GraphBuilder, weights: Weights, adapters: ReadonlySet<string> = new Set()): Scope {
    return new Scope({ name, graph, weights, adapters, problems: [], values: new Map() }, "");
  }

  /** A place further in, by the dotted name of a module. */
  at(name: string): Scope {
    return new Scope(this.#network, this.#full(name));
  }

  /** Whether the weights hold a tensor of this name here. */
  has(name: string): boolean {
    return this.#network.weights.has(this.#full(name));
  }

  /** Whether the layer at this place has a low-rank branch. */
  get adapted(): boolean {
    return this.#network.adapters.has(this.path);
  }

  /** The shape of a tensor here, or undefined where there is none. */
  shape(name: string): readonly number[] | undefined {
    return this.#network.weights.get(this.#full(name))?.shape;
  }

  /**
   * The tensor of this name. `expected` gives the sizes that it must have (null: any); `as` regroups its elements.
   * A missing or misshapen one is noted, and `finish` throws for all of them together.
   */
  weight(name: string, expected: readonly (number | null)[], as?: readonly number[]): Value {
    const full = this.#full(name);
    const { graph, weights, problems, values } = this.#network;
    const tensor = weights.get(full);
    const wanted = `[${expected.map((size) => size ?? "*").join(", ")}]`;
    if (!tensor) {
      problems.push(`${full} ${wanted} is missing`);
      return graph.constant(new Float32Array(1), [1]);
    }
    const fits =
      tensor.shape.length === expected.length &&
      expected.every((size, axis) => size === null || Number.isNaN(size) || size === tensor.shape[axis]);
    if (!fits) problems.push(`${full} is [${tensor.shape.join(", ")}], not ${wanted}`);
    const shape = as ?? tensor.shape;
    const key = `${full} ${shape.join()}`;
    const value = values.get(key) ?? graph.weight(tensor, shape);
    values.set(key, value);
    return value;
  }

  /** Throws `checkpoint_incomplete` where tensors were missing or had the wrong shape. */
  finish(): void {
    const { name, problems } = this.#network;
    if (problems.length === 0) return;
    const rest = problems.length > NAMED_PROBLEMS ? `, and ${problems.length - NAMED_PROBLEMS} more` : "";
    throw new KilnError(
      "checkpoint_incomplete",
      `The ${name} cannot be built: ${problems.slice(0, NAMED_PROBLEMS).join("; ")}${rest}. The file is incomplete or for another architecture.`,
    );
  }

  #full(name: string): string {
    return this.path === "" ? name : `${this.path}.${name}`;
  }
}

interface Network {
  readonly name: string;
  readonly graph: GraphBuilder;
  readonly weights: Weights;
  readonly adapters: ReadonlySet<string>;
  readonly problems: string[];
  readonly values: Map<string, Value>;
}
