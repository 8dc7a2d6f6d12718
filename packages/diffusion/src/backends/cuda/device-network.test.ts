import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { GraphBuilder } from "../../graph/builder.ts";
import type { Graph } from "../../graph/graph.ts";
import { floatTensor, type Tensor } from "../../graph/tensor.ts";
import { type HostDevice, type HostDeviceOptions, openHostDevice } from "../../testing/host-device.ts";
import type { CompiledGraph } from "../backend.ts";
import { bundledOnnxRuntime } from "../onnxruntime-c/find-bundled.ts";

const CHANNELS = 4;

/** y = x W' + b: W holds 1 on its diagonal, and its numbers come from memory as weights of files do from files. */
function layer(name: string): Graph {
  const weight = new Float32Array(CHANNELS * CHANNELS);
  for (let i = 0; i < CHANNELS; i++) weight[i * (CHANNELS + 1)] = 1;
  return graphOver(name, new Uint8Array(weight.buffer));
}

const shared = new Uint8Array(new Float32Array([2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2]).buffer);

function graphOver(name: string, source: Uint8Array): Graph {
  const graph = new GraphBuilder(name);
  const x = graph.input("x", "float32", ["batch", CHANNELS]);
  const tensor = { source, offset: 0, byteLength: source.length, type: "float32", shape: [CHANNELS, CHANNELS] } as const;
  graph.output("y", graph.linear(x, graph.weight(tensor), undefined, CHANNELS));
  return graph.build();
}

const rows = (count: number, value = 1): Tensor => floatTensor(new Float32Array(count * CHANNELS).fill(value), [count, CHANNELS]);

describe.runIf(bundledOnnxRuntime() !== undefined)("networks on a device", () => {
  let open: { host: HostDevice; networks: CompiledGraph[] } | undefined;
  let messages: string[] = [];

  async function compile(graph: Graph, options: HostDeviceOptions = {}): Promise<{ network: CompiledGraph; host: HostDevice }> {
    const host = open?.host ?? openHostDevice({ ...options, log: (message) => messages.push(message) });
    if (!host) throw new Error("no device");
    const network = await host.backend.compile(graph);
    open = { host, networks: [...(open?.networks ?? []), network] };
    return { network, host };
  }

  beforeEach(() => {
    messages = [];
  });
  afterEach(async () => {
    for (const network of open?.networks ?? []) await network.dispose();
    expect(open?.host.memory.blocks).toBe(0);
    await open?.host.dispose();
    expect(open?.host.device.runtime.library.alive).toEqual(new Map());
    open = undefined;
  });

  it("have one copy of their weights, whatever sizes they run at, and however many networks read them", async () => {
    const { network, host } = await compile(graphOver("one", shared));
    for (const count of [1, 2, 3]) expect((await network.run({ x: rows(count) })).y?.data).toEqual(rows(count, 2).data);
    const { network: other } = await compile(graphOver("other", shared));
    await other.run({ x: rows(1) });
    expect(host.device.weights.bytes).toBe(shared.length);
    await other.dispose();
    expect(host.device.weights.bytes).toBe(shared.length);
    expect((await network.run({ x: rows(1) })).y?.data).toEqual(rows(1, 2).data);
  });

  it("keep a limited number of sizes, and make one anew that has gone", async () => {
    const { network, host } = await compile(layer("few"), { maxSessions: 2 });
    for (const count of [1, 2, 1, 3, 4, 1]) expect((await network.run({ x: rows(count) })).y?.shape).toEqual([count, CHANNELS]);
    expect(host.device.runtime.library.alive.get("CreateSessionFromArray")).toBe(2);
  });

  it("run one after the other, whoever asks", async () => {
    const { network } = await compile(layer("asked"));
    const answers = await Promise.all([1, 2, 3].map((value) => network.run({ x: rows(1, value) })));
    expect(answers.map(({ y }) => y?.data[0])).toEqual([1, 2, 3]);
  });

  it("take an input that lasts once, and any other each time", async () => {
    const { network } = await compile(layer("lasting"));
    const changing = rows(1, 1);
    await network.run({ x: changing });
    changing.data.fill(2 as never);
    expect((await network.run({ x: changing })).y?.data[0]).toBe(2);
    const lasting = { ...rows(1, 3), lasting: true };
    await network.run({ x: lasting });
    lasting.data.fill(4 as never);
    expect((await network.run({ x: lasting })).y?.data[0]).toBe(3);
    expect((await network.run({ x: rows(1, 5) })).y?.data[0]).toBe(5);
  });

  it("go on without captured graphs where none can be captured, and say so once", async () => {
    const { network } = await compile(layer("captured"), { captures: true, settings: (captures) => (captures ? REFUSED : {}) });
    expect((await network.run({ x: rows(1) })).y?.data[0]).toBe(1);
    expect((await network.run({ x: rows(2) })).y?.data[0]).toBe(1);
    expect(messages).toHaveLength(1);
    expect(messages[0]).toContain("CUDA graphs are off");
  });

  it("let go of other sizes and networks where memory is used up, and then fail where that is not enough", async () => {
    const room = 2 * shared.length + 40 * CHANNELS * 4;
    const { network, host } = await compile(graphOver("one", shared), { memory: room });
    const { network: other } = await compile(layer("other"));
    await other.run({ x: rows(8) });
    await network.run({ x: rows(8) });
    expect(host.device.runtime.library.alive.get("CreateSessionFromArray")).toBe(2);
    expect((await network.run({ x: rows(12) })).y?.data).toEqual(rows(12, 2).data);
    expect(host.device.runtime.library.alive.get("CreateSessionFromArray")).toBe(1);
    expect(messages).toHaveLength(1);
    await expect(network.run({ x: rows(100) })).rejects.toMatchObject({ code: "out_of_memory" });
  });

  it("give back what they took where a session cannot be made", async () => {
    const { network, host } = await compile(layer("refused"), { settings: () => REFUSED });
    await expect(network.run({ x: rows(1) })).rejects.toMatchObject({ code: "backend_failed" });
    expect(host.memory.blocks).toBe(0);
    expect(host.device.weights.bytes).toBe(0);
  });

  it("give back what they took where a file is gone", async () => {
    const graph = new GraphBuilder("gone");
    const x = graph.input("x", "float32", ["batch", CHANNELS]);
    const gone = { source: "/nowhere/weights", offset: 0, byteLength: 64, type: "float32", shape: [CHANNELS, CHANNELS] } as const;
    graph.output("y", graph.linear(x, graph.weight(gone), undefined, CHANNELS));
    const { network, host } = await compile(graph.build());
    await expect(network.run({ x: rows(1) })).rejects.toMatchObject({ code: "file_not_found" });
    expect(host.memory.blocks).toBe(0);
  });

  it("say what their weights take in the device's type", async () => {
    const { network } = await compile(graphOver("sized", shared));
    expect(network.weightBytes).toBe(shared.length);
  });
});

/** A folder for external data that is not there: the library refuses to make a session with it. */
const REFUSED = { config: { "session.model_external_initializers_file_folder_path": "/nowhere/at all" } };
