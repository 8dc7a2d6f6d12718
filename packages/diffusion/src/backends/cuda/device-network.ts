import { BYTES_PER_ELEMENT, type TensorView } from "../../checkpoint/tensor-view.ts";
import { KilnError } from "../../errors.ts";
import type { Graph, GraphInput } from "../../graph/graph.ts";
import type { Tensor } from "../../graph/tensor.ts";
import type { CompiledGraph } from "../backend.ts";
import type { Device } from "./device.ts";
import { SizedSession, type Sizes } from "./sized-session.ts";
import type { ComputeType } from "./weight-request.ts";

/**
 * A network on a device. A session is made for each set of sizes that is asked for, all on the same weights, and the ones used
 * least recently go: kernels are chosen, memory is planned and graphs are captured for sizes that do not change.
 */
export class DeviceNetwork implements CompiledGraph {
  readonly inputs: readonly GraphInput[];
  readonly weightBytes: number;
  readonly sharedWeights: ReadonlyMap<TensorView, number>;
  readonly #device: Device;
  readonly #graph: Graph;
  readonly #type: ComputeType;
  /** In order of use, least recent first. */
  readonly #sessions = new Map<string, SizedSession>();

  constructor(device: Device, graph: Graph, type: ComputeType) {
    this.#device = device;
    this.#graph = graph;
    this.#type = type;
    this.inputs = graph.inputs;
    this.sharedWeights = weightsOf(graph, type);
    this.weightBytes = [...this.sharedWeights.values()].reduce((sum, bytes) => sum + bytes, 0);
    device.remember(this);
  }

  /** Where the device's memory is used up, all sessions go, of every network, and it is tried once more. */
  run(inputs: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor & { data: Float32Array }>> {
    return this.#device.inTurn(async () => {
      try {
        return await (await this.#session(inputs)).run(inputs);
      } catch (error) {
        if (!(error instanceof KilnError && error.code === "out_of_memory") || this.#device.dropSessions() === 0) throw error;
        return await (await this.#session(inputs)).run(inputs);
      }
    });
  }

  async dispose(): Promise<void> {
    await this.#device.inTurn(async () => {
      this.dropSessions();
      this.#device.forget(this);
    });
  }

  /** Frees every session: none may be running. @returns how many there were. */
  dropSessions(): number {
    const count = this.#sessions.size;
    for (const session of this.#sessions.values()) session.dispose();
    this.#sessions.clear();
    return count;
  }

  async #session(inputs: Readonly<Record<string, Tensor>>): Promise<SizedSession> {
    const { key, sizes } = sizesOf(this.inputs, inputs);
    const known = this.#sessions.get(key);
    this.#sessions.delete(key);
    if (!known) this.#makeRoom();
    const session = known ?? (await SizedSession.open(this.#device, this.#graph, sizes, this.#type));
    this.#sessions.set(key, session);
    return session;
  }

  #makeRoom(): void {
    for (const [key, session] of this.#sessions) {
      if (this.#sessions.size < this.#device.maxSessions) return;
      this.#sessions.delete(key);
      session.dispose();
    }
  }
}

function sizesOf(declared: readonly GraphInput[], given: Readonly<Record<string, Tensor>>): { key: string; sizes: Sizes } {
  const shapes = new Map<string, readonly number[]>();
  const absent = new Set<string>();
  const parts: string[] = [];
  for (const input of declared) {
    const tensor = given[input.name];
    const shape = tensor?.shape ?? [];
    shapes.set(input.name, shape);
    if (tensor && isAbsent(input, tensor)) absent.add(input.name);
    parts.push(absent.has(input.name) ? "-" : shape.join("x"));
  }
  return { key: parts.join(), sizes: { shapes, absent } };
}

/** A single zero in an input whose every size is open stands for nothing at all. */
function isAbsent({ shape }: GraphInput, { data }: Tensor): boolean {
  return data.length === 1 && data[0] === 0 && shape.every((size) => typeof size === "string");
}

/** Bytes that each weight takes on the device, in the type that it computes in. */
function weightsOf({ nodes }: Graph, type: ComputeType): ReadonlyMap<TensorView, number> {
  const tensors = nodes.flatMap((node) => (node.op === "weight" ? [node.attributes.tensor] : []));
  const bytes = (tensor: TensorView): number => (tensor.byteLength / BYTES_PER_ELEMENT[tensor.type]) * BYTES_PER_ELEMENT[type];
  return new Map(tensors.map((tensor) => [tensor, bytes(tensor)]));
}
