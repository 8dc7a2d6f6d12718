import type { Backend } from "../backend.ts";
import type { Device } from "./device.ts";
import { DeviceNetwork } from "./device-network.ts";
import { paddedRows } from "./padded-rows.ts";
import type { ComputeType } from "./weight-request.ts";

/**
 * A backend that computes on a device in one type; networks whose values leave float16's range compute in float32.
 * @param name for logs and `kiln doctor`.
 */
export function deviceBackend(device: Device, name: string, type: ComputeType): Backend {
  return {
    name,
    precision: type,
    sharesWeights: true,
    paddedRows,
    deviceMemory: () => device.memory.state(),
    compile: async (graph) => new DeviceNetwork(device, graph, graph.needsFloat32Range ? "float32" : type),
  };
}
