import { expect, test } from "vitest";
import { describeGpu } from "./gpu.ts";

const GIB = 2 ** 30;

test("on the CPU the engine's process is what is shown", () => {
  const memory = { allocated_gb: 2, reserved_gb: 2, max_allocated_gb: 3 };
  expect(describeGpu({ device: "cpu", memory: { process: 2 * GIB } }, 3 * GIB)).toEqual({ status: "cpu", memory });
});

test("of a CUDA device its own memory is shown, with its name", () => {
  const card = { name: "NVIDIA H200", memoryBytes: 139 * GIB };
  const memory = { process: GIB, deviceUsed: 20 * GIB, deviceTotal: 140 * GIB };
  expect(describeGpu({ device: "cuda:1", card, memory }, 21 * GIB)).toEqual({
    status: "available",
    device: "cuda:1",
    name: "NVIDIA H200",
    memory: { allocated_gb: 20, reserved_gb: 20, max_allocated_gb: 21, total_gb: 140 },
  });
});

test("on WebGPU the card is named, and what is taken of it is left out", () => {
  const card = { name: "AMD Radeon RX 7900 XTX", memoryBytes: 24 * GIB };
  expect(describeGpu({ device: "webgpu", card, memory: { process: GIB } }, 3 * GIB)).toEqual({
    status: "available",
    device: "webgpu",
    name: "AMD Radeon RX 7900 XTX",
    memory: { total_gb: 24 },
  });
  expect(describeGpu({ device: "webgpu", memory: { process: GIB } })).toEqual({
    status: "available",
    device: "webgpu",
    memory: {},
  });
});

test("without an engine there is none", () => {
  expect(describeGpu(undefined).status).toBe("unavailable");
});
