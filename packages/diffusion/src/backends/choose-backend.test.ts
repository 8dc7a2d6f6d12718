import { describe, expect, it } from "vitest";
import { chooseBackend } from "./choose-backend.ts";
import { findOpenVino } from "./openvino/find-openvino.ts";

describe("a precision that a device lacks", () => {
  it.each([
    ["onnx", "int8"],
    ["onnx", "bfloat16"],
    ["onnx", "float16"],
    ["cuda", "int8"],
    ["cuda", "bfloat16"],
  ] as const)("is refused: %s has no %s", (device, precision) => {
    expect(() => chooseBackend({ device, precision })).toThrow(
      expect.objectContaining({ code: "invalid_request", subject: "precision" }),
    );
  });
});

describe.runIf(findOpenVino() !== undefined)("OpenVINO's precision", () => {
  it.each(["float32", "bfloat16", "int8"] as const)("is %s where that is asked for", (precision) => {
    expect(chooseBackend({ device: "cpu", precision }).backend.precision).toBe(precision);
  });

  it("is bfloat16 where none is asked for", () => {
    expect(chooseBackend({ device: "openvino" }).backend.precision).toBe("bfloat16");
  });
});
