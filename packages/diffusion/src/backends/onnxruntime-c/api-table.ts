/**
 * ONNX Runtime's C API as a table: `OrtGetApiBase` leads to `OrtApi`, a struct of function pointers, and the numbers below are
 * places in it, counted from 0 (include/onnxruntime/core/session/onnxruntime_c_api.h). The struct only ever grows at its end, and
 * the library checks some places when it is compiled (onnxruntime_c_api.cc, "ordering MUST not change"), so the numbers hold for
 * every later release.
 */

/** The version of the table that is asked for. Every function below is in it, and libraries serve all versions up to their own. */
export const API_VERSION = 22;

/** Entries of the table up to the last one that is called here, and one more. */
export const TABLE_LENGTH = 264;

/** `out` is the address of a handle that the call fills in. */
export type Parameter = "handle" | "out" | "text" | "int" | "size" | "bytes" | "shape" | "texts";

/** `status`: null where the call went well, else an object that holds the error. */
export type Result = "status" | "void" | "text" | "int";

interface Signature {
  readonly at: number;
  readonly gives: Result;
  readonly takes: readonly Parameter[];
}

function status<const P extends readonly Parameter[]>(at: number, ...takes: P): { at: number; gives: "status"; takes: P } {
  return { at, gives: "status", takes };
}

function release(at: number): { at: number; gives: "void"; takes: ["handle"] } {
  return { at, gives: "void", takes: ["handle"] };
}

/** The functions that Kiln calls. */
export const FUNCTIONS = {
  GetErrorCode: { at: 1, gives: "int", takes: ["handle"] },
  GetErrorMessage: { at: 2, gives: "text", takes: ["handle"] },
  GetBuildInfoString: { at: 254, gives: "text", takes: [] },

  CreateEnv: status(3, "int", "text", "out"),
  CreateSessionFromArray: status(8, "handle", "bytes", "size", "handle", "out"),
  CreateSessionOptions: status(10, "out"),
  EnableProfiling: status(14, "handle", "text"),
  DisableMemPattern: status(17, "handle"),
  SetSessionLogSeverityLevel: status(22, "handle", "int"),
  SetSessionGraphOptimizationLevel: status(23, "handle", "int"),
  SetIntraOpNumThreads: status(24, "handle", "int"),
  CreateRunOptions: status(39, "out"),
  CreateTensorWithDataAsOrtValue: status(49, "handle", "handle", "size", "shape", "size", "int", "out"),
  CreateMemoryInfo: status(68, "text", "int", "int", "int", "out"),
  GetAllocatorWithDefaultOptions: status(78, "out"),
  SessionEndProfiling: status(110, "handle", "handle", "out"),
  AddSessionConfigEntry: status(130, "handle", "text", "text"),
  RunWithBinding: status(133, "handle", "handle", "handle"),
  CreateIoBinding: status(134, "handle", "out"),
  BindInput: status(136, "handle", "text", "handle"),
  BindOutput: status(137, "handle", "text", "handle"),
  AddInitializer: status(150, "handle", "text", "handle"),
  CreateArenaCfgV2: status(164, "texts", "bytes", "size", "out"),
  AddRunConfigEntry: status(165, "handle", "text", "text"),
  SessionOptionsAppendExecutionProvider_CUDA_V2: status(204, "handle", "handle"),
  CreateCUDAProviderOptions: status(205, "out"),
  UpdateCUDAProviderOptions: status(206, "handle", "texts", "texts", "size"),
  CreateAndRegisterAllocatorV2: status(259, "handle", "text", "handle", "handle", "texts", "texts", "size"),

  AllocatorFree: status(76, "handle", "handle"),
  ReleaseEnv: release(92),
  ReleaseStatus: release(93),
  ReleaseMemoryInfo: release(94),
  ReleaseSession: release(95),
  ReleaseValue: release(96),
  ReleaseRunOptions: release(97),
  ReleaseSessionOptions: release(100),
  ReleaseIoBinding: release(135),
  ReleaseArenaCfg: release(157),
  ReleaseCUDAProviderOptions: release(208),
} as const satisfies Record<string, Signature>;

export type FunctionName = keyof typeof FUNCTIONS;

/** Functions whose last parameter is a handle that they make. */
export type Creator = {
  [K in FunctionName]: (typeof FUNCTIONS)[K]["takes"] extends readonly [...Parameter[], "out"] ? K : never;
}[FunctionName];

/** Functions that free a handle. */
export type Releaser = Extract<FunctionName, `Release${string}`>;

/** Functions that do something and give nothing. */
export type Action = Exclude<
  { [K in FunctionName]: (typeof FUNCTIONS)[K]["gives"] extends "status" ? K : never }[FunctionName],
  Creator
>;

/** ONNXTensorElementDataType. */
export const ELEMENT_TYPE = { float32: 1, int64: 7, float16: 10 } as const;

/** OrtLoggingLevel. */
export const LOG_LEVEL = { verbose: 0, warning: 2, error: 3 } as const;

/** GraphOptimizationLevel. */
export const OPTIMIZATION_LEVEL = { none: 0, basic: 1, all: 99 } as const;
