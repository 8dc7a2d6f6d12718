import { elementCount } from "../../checkpoint/views.ts";
import { KilnError } from "../../errors.ts";
import type { Graph } from "../../graph/graph.ts";
import type { Tensor } from "../../graph/tensor.ts";
import type { NativeSession } from "../onnxruntime-c/native-session.ts";
import type { Handle } from "../onnxruntime-c/ort-library.ts";
import type { Device } from "./device.ts";
import { type LoweredGraph, lowerWithSizes, type ModelPort } from "./lower.ts";
import type { ComputeType } from "./weight-request.ts";

/** What a session is made for. */
export interface Sizes {
  /** The shape of each input. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** Inputs that hold a single zero, and are left out. */
  readonly absent: ReadonlySet<string>;
}

/** A place in the device's memory that an input or output of a session always has. */
interface BoundPort extends ModelPort {
  readonly address: bigint;
  readonly byteLength: number;
  readonly tensor: Handle;
  /** The lasting numbers that lie there now. */
  uploaded: WeakRef<object> | undefined;
}

const ELEMENT_BYTES = { float32: 4, int64: 8 } as const;

/** A network for one set of sizes: its inputs and outputs have fixed places on the device. One run at a time. */
export class SizedSession {
  readonly #device: Device;
  readonly #lowered: LoweredGraph;
  readonly #weights: ReadonlyMap<string, Handle>;
  readonly #profile: string | undefined;
  readonly #inputs: BoundPort[] = [];
  readonly #outputs: BoundPort[] = [];
  #session: NativeSession | undefined;
  #captures = false;

  private constructor(device: Device, lowered: LoweredGraph, weights: ReadonlyMap<string, Handle>, profile: string | undefined) {
    this.#device = device;
    this.#lowered = lowered;
    this.#weights = weights;
    this.#profile = profile;
  }

  /** @throws KilnError out_of_memory, backend_failed */
  static async open(device: Device, graph: Graph, sizes: Sizes, type: ComputeType): Promise<SizedSession> {
    const lowered = lowerWithSizes(graph, { sizes: sizes.shapes, absent: sizes.absent, type, ops: device.ops });
    const weights = await device.weights.acquire(lowered.weights);
    const profile = device.profile === undefined ? undefined : `${device.profile}-${graph.name.replaceAll(" ", "-")}`;
    const session = new SizedSession(device, lowered, weights, profile);
    try {
      for (const port of lowered.inputs) session.#inputs.push(session.#place(port));
      for (const port of lowered.outputs) session.#outputs.push(session.#place(port));
      await session.#start(device.capturesGraphs);
      return session;
    } catch (error) {
      session.dispose();
      throw error;
    }
  }

  async run(inputs: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor & { data: Float32Array }>> {
    for (const port of this.#inputs) this.#write(port, inputs[port.name]);
    this.#device.memory.synchronize();
    await this.#runOrFallBack();
    return Object.fromEntries(this.#outputs.map((port) => [port.name, this.#read(port)]));
  }

  dispose(): void {
    this.#end();
    for (const { tensor, address } of [...this.#inputs, ...this.#outputs]) {
      this.#device.runtime.releaseTensor(tensor);
      this.#device.memory.free(address);
    }
    this.#inputs.length = 0;
    this.#outputs.length = 0;
    this.#device.weights.release(this.#lowered.weights);
  }

  async #start(captures: boolean): Promise<void> {
    const { runtime } = this.#device;
    const settings = this.#device.settings(captures);
    const session = await runtime
      .createSession(this.#lowered.model, { ...settings, initializers: this.#weights, profile: this.#profile })
      .catch((error: unknown) => {
        if (!captures || !mayBeTheCapture(error)) throw error;
        this.#device.giveUpCapturing(error);
        return undefined;
      });
    if (!session) return await this.#start(false);
    this.#session = session;
    this.#captures = captures;
    for (const { name, tensor } of this.#inputs) session.bindInput(name, tensor);
    for (const { name, tensor } of this.#outputs) session.bindOutput(name, tensor);
  }

  /** The first run captures the graph. Where that fails, the network goes on without, and so does every later one. */
  async #runOrFallBack(): Promise<void> {
    try {
      await this.#session?.run();
    } catch (error) {
      if (!this.#captures || !mayBeTheCapture(error)) throw error;
      this.#device.giveUpCapturing(error);
      this.#end();
      await this.#start(false);
      await this.#session?.run();
    }
  }

  #end(): void {
    if (this.#profile !== undefined && this.#session) this.#device.log(`The profile is in ${this.#session.endProfile()}.`);
    this.#session?.release();
    this.#session = undefined;
  }

  #place(port: ModelPort): BoundPort {
    const { runtime, memory } = this.#device;
    const count = elementCount(port.shape);
    const byteLength = count * ELEMENT_BYTES[port.type];
    const address = memory.allocate(byteLength);
    const tensor = runtime.tensor({ place: memory.place, address, byteLength, type: port.type, shape: port.shape });
    return { ...port, address, byteLength, tensor, uploaded: undefined };
  }

  #write(port: BoundPort, given: Tensor | undefined): void {
    if (!given) throw new KilnError("backend_failed", `The input ${port.name} is missing.`);
    const { data } = given;
    if (given.lasting === true && port.uploaded?.deref() === data) return;
    this.#device.memory.write(port.address, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    port.uploaded = given.lasting === true ? new WeakRef(data) : undefined;
  }

  #read({ address, shape, byteLength }: BoundPort): Tensor & { data: Float32Array } {
    const bytes = new Uint8Array(byteLength);
    this.#device.memory.read(address, bytes);
    return { type: "float32", shape, data: new Float32Array(bytes.buffer) };
  }
}

/** Memory that is used up is no fault of the capture's, and neither is a library that is missing. */
function mayBeTheCapture(error: unknown): boolean {
  return error instanceof KilnError && error.code === "backend_failed";
}
