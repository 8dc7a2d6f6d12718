import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { KilnError } from "../../errors.ts";
import { HostMemory } from "../../testing/host-memory.ts";
import { ModelWriter } from "../onnx/model-proto.ts";
import { bundledOnnxRuntime } from "./find-bundled.ts";
import { type ElementType, OnnxRuntime, type SessionSettings } from "./onnx-runtime.ts";
import type { Handle } from "./ort-library.ts";

const path = bundledOnnxRuntime();
if (path === undefined) console.error("onnxruntime-node has no library for this system: the tests of its C API are skipped.");

/** Numbers in the device's memory, and a tensor over them. */
interface Cell {
  readonly tensor: Handle;
  set(values: readonly number[]): void;
  get(): number[];
}

describe.runIf(path !== undefined)("ONNX Runtime's C API", () => {
  let runtime: OnnxRuntime;
  let memory: HostMemory;
  let cleanups: (() => void)[] = [];

  beforeEach(() => {
    runtime = new OnnxRuntime(path ?? "");
    memory = new HostMemory();
  });

  afterEach(async () => {
    for (const cleanup of cleanups.reverse()) cleanup();
    cleanups = [];
    await runtime.dispose();
    expect(runtime.library.alive).toEqual(new Map());
    expect(memory.blocks).toBe(0);
  });

  /** @param skew bytes between an aligned address and the first number. */
  function cell(
    values: readonly number[],
    shape: readonly number[] = [values.length],
    skew = 0,
    type: ElementType = "float32",
  ): Cell {
    const byteLength = values.length * 4;
    const block = memory.allocate(byteLength + skew);
    const address = block + BigInt(skew);
    const tensor = runtime.tensor({ place: memory.place, address, byteLength, type, shape });
    cleanups.push(() => {
      runtime.releaseTensor(tensor);
      memory.free(block);
    });
    const set = (numbers: readonly number[]): void => memory.write(address, new Uint8Array(new Float32Array(numbers).buffer));
    set(values);
    return {
      tensor,
      set,
      get: () => {
        const bytes = new Uint8Array(byteLength);
        memory.read(address, bytes);
        return [...new Float32Array(bytes.buffer)];
      },
    };
  }

  /** y = x w, where the session is given w [2, 2]. */
  function product(): { model: Uint8Array; weight: string } {
    const writer = new ModelWriter("product");
    writer.input("x", "float32", [1, 2]);
    const weight = writer.given("float32", [2, 2]);
    writer.rename(writer.op("MatMul", ["x", weight]), "y");
    writer.output("y", "float32");
    return { model: writer.finish(), weight };
  }

  async function session(model: Uint8Array, settings: SessionSettings, x: Cell, y: Cell): Promise<() => Promise<void>> {
    const made = await runtime.createSession(model, settings);
    cleanups.push(() => made.release());
    made.bindInput("x", x.tensor);
    made.bindOutput("y", y.tensor);
    return () => made.run();
  }

  it("runs a model from bytes on bound memory, again and again", async () => {
    const { model, weight } = product();
    const [x, y, w] = [cell([1, 2], [1, 2]), cell([0, 0], [1, 2]), cell([1, 2, 3, 4], [2, 2])];
    const run = await session(model, { initializers: new Map([[weight, w.tensor]]) }, x, y);
    await run();
    expect(y.get()).toEqual([7, 10]);
    x.set([0, 1]);
    await run();
    expect(y.get()).toEqual([3, 4]);
  });

  it("lets two sessions read the same weights where they lie", async () => {
    const { model, weight } = product();
    const w = cell([1, 2, 3, 4], [2, 2]);
    // A packed weight is a copy; a GPU's kernels pack none.
    const settings = { initializers: new Map([[weight, w.tensor]]), config: { "session.disable_prepacking": "1" } };
    const [one, other] = [cell([0, 0], [1, 2]), cell([0, 0], [1, 2])];
    const first = await session(model, settings, cell([1, 0], [1, 2]), one);
    const second = await session(model, settings, cell([0, 1], [1, 2]), other);
    w.set([5, 6, 7, 8]);
    await first();
    await second();
    expect([one.get(), other.get()]).toEqual([
      [5, 6],
      [7, 8],
    ]);
  });

  it("takes weights at any byte", async () => {
    const { model, weight } = product();
    const [y, w] = [cell([0, 0], [1, 2]), cell([1, 2, 3, 4], [2, 2], 3)];
    const run = await session(model, { initializers: new Map([[weight, w.tensor]]) }, cell([1, 2], [1, 2]), y);
    await run();
    expect(y.get()).toEqual([7, 10]);
  });

  it("leaves the event loop free while it runs", async () => {
    const side = 512;
    const writer = new ModelWriter("long");
    writer.input("x", "float32", [side, side]);
    let value = "x";
    for (let i = 0; i < 4; i++) value = writer.op("MatMul", [value, "x"]);
    writer.rename(value, "y");
    writer.output("y", "float32");
    const zeros = new Array<number>(side * side).fill(0);
    const run = await session(writer.finish(), { threads: 1 }, cell(zeros, [side, side]), cell(zeros, [side, side]));
    let turned = false;
    setImmediate(() => {
      turned = true;
    });
    await run();
    expect(turned).toBe(true);
  });

  it("draws on one arena for all sessions, within its limit", async () => {
    runtime.shareArena(memory.place, 1 << 30);
    runtime.shareArena(memory.place, 1 << 20); // the last counts
    const side = 1024;
    const writer = new ModelWriter("large");
    writer.input("x", "float32", [1, 2]);
    const large = writer.op("Expand", [writer.op("ReduceSum", ["x"], { keepdims: 0 }), writer.ints([side, side])]);
    writer.rename(writer.op("ReduceMax", [large], { keepdims: 0 }), "y");
    writer.output("y", "float32");
    const config = { "session.use_env_allocators": "1" };
    const run = await session(writer.finish(), { config }, cell([1, 2], [1, 2]), cell([0], []));
    await expect(run()).rejects.toMatchObject({ code: "out_of_memory" });
  });

  it("writes a profile of every op", async () => {
    const folder = mkdtempSync(join(tmpdir(), "kiln-profile-"));
    cleanups.push(() => rmSync(folder, { recursive: true }));
    const { model, weight } = product();
    const made = await runtime.createSession(model, {
      profile: join(folder, "ops"),
      initializers: new Map([[weight, cell([1, 2, 3, 4], [2, 2]).tensor]]),
    });
    cleanups.push(() => made.release());
    made.bindInput("x", cell([1, 2], [1, 2]).tensor);
    made.bindOutput("y", cell([0, 0], [1, 2]).tensor);
    await made.run();
    const events: { args?: { op_name?: string } }[] = JSON.parse(readFileSync(made.endProfile(), "utf8"));
    expect(events.map(({ args }) => args?.op_name)).toContain("MatMul");
  });

  it("names the op that no kernel is there for", async () => {
    const writer = new ModelWriter("diffusion op");
    writer.input("x", "float32", [1, 8, 8, 32]);
    const [gamma, beta] = [writer.filled(1, 32), writer.filled(0, 32)];
    writer.rename(
      writer.op("GroupNorm", ["x", gamma, beta], { groups: 8, activation: 1, epsilon: { float: 1e-5 } }, "com.microsoft"),
      "y",
    );
    writer.output("y", "float32");
    const refused = runtime.createSession(writer.finish(), {});
    await expect(refused).rejects.toMatchObject({ code: "backend_failed", subject: "GroupNorm" });
  });

  it("refuses bytes that are no model", async () => {
    await expect(runtime.createSession(new Uint8Array([1, 2, 3]), {})).rejects.toThrow(KilnError);
  });

  it("says which library the CUDA provider lacks", async () => {
    const { model } = product();
    await expect(runtime.createSession(model, { cuda: { device_id: "0" } })).rejects.toMatchObject({
      code: "backend_unavailable",
      subject: expect.stringContaining("libonnxruntime_providers_shared.so"),
    });
  });
});

describe("a library that is not there", () => {
  it("is named", () => {
    expect(() => new OnnxRuntime("/nowhere/libonnxruntime.so.1")).toThrow(
      expect.objectContaining({ code: "backend_unavailable", subject: "/nowhere/libonnxruntime.so.1" }),
    );
  });
});
