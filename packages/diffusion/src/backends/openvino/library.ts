import { join } from "node:path";
import { KilnError } from "../../errors.ts";
import { nativeCalls } from "../native-calls.ts";

/** OpenVINO's C API, as far as Kiln uses it, called through koffi. Handles are opaque pointers. */

/** What the C API calls a handle. */
export type Handle = unknown;

/** ov_element_type_e of release 2026.4: older headers number differently, and a wrong number misreads silently. */
export const ELEMENT_TYPE = { float32: 4, int64: 10, uint8: 16 } as const;

/** The version of the library that the numbers above and the file's name belong to. */
export const LIBRARY_FILE = "libopenvino_c.so.2641";

/** What one operation of a run took. */
export interface OperationTime {
  readonly name: string;
  /** "Convolution", "FullyConnected", "Reorder"... */
  readonly type: string;
  /** The kernel that ran: "brgemm_avx512_bf16". */
  readonly kernel: string;
  readonly microseconds: number;
}

type Out = [Handle];

export interface Library {
  /** A core finds plugins beside the library. */
  readonly core: Handle;
  /** What every model is compiled with from now on. */
  setProperties(core: Handle, device: string, properties: Readonly<Record<string, string>>): void;
  readModel(core: Handle, xml: Buffer, length: number, weights: Handle): Handle;
  /** Beside the event loop: a UNet takes seconds. */
  compile(core: Handle, model: Handle, device: string): Promise<Handle>;
  createRequest(compiled: Handle): Handle;
  /** A tensor over memory that outlives it. */
  wrap(type: number, shape: readonly number[], memory: Handle | Uint8Array | Float32Array | BigInt64Array): Handle;
  setInput(request: Handle, index: number, tensor: Handle): void;
  infer(request: Handle): Promise<void>;
  /** A copy of an output. */
  readOutput(request: Handle, index: number): { shape: number[]; data: Float32Array };
  /** The operations of a request's last run; empty where the model was compiled without PERF_COUNT. */
  readProfile(request: Handle): OperationTime[];
  property(core: Handle, device: string, name: string): string;
  free(kind: "tensor" | "model" | "compiled_model" | "infer_request", handle: Handle): void;
}

/**
 * Loads OpenVINO from a folder that holds its shared libraries.
 * @throws KilnError backend_unavailable
 */
export function loadLibrary(folder: string): Library {
  try {
    defineTypes();
    return bind(nativeCalls().load(join(folder, LIBRARY_FILE)));
  } catch (cause) {
    if (cause instanceof KilnError) throw cause;
    throw new KilnError("backend_unavailable", `OpenVINO cannot be loaded from ${folder}: ${String(cause)}`, {
      subject: folder,
      cause,
    });
  }
}

/** Types are process-wide in koffi: a second library of the same names would be refused. */
let typesAreDefined = false;

function defineTypes(): void {
  if (!typesAreDefined) {
    nativeCalls().struct("kiln_ov_shape", { rank: "int64_t", dims: "int64_t*" });
    nativeCalls().struct("kiln_ov_profile", {
      status: "int",
      real: "int64_t",
      cpu: "int64_t",
      name: "const char*",
      kernel: "const char*",
      type: "const char*",
    });
    nativeCalls().struct("kiln_ov_profiles", { infos: "void*", size: "size_t" });
  }
  typesAreDefined = true;
}

/** ov_profiling_info_t's status of an operation that really ran. */
const EXECUTED = 2;

type Api = ReturnType<ReturnType<typeof nativeCalls>["load"]>;

/** The functions of OpenVINO's C API that are used, as its headers declare them. */
function declared(api: Api) {
  return {
    error: api.func("const char* ov_get_last_err_msg()"),
    core: api.func("int ov_core_create(_Out_ void** core)"),
    read: api.func(
      "int ov_core_read_model_from_memory_buffer(void* core, void* xml, size_t n, void* weights, _Out_ void** model)",
    ),
    setProperty: api.func("int ov_core_set_property(void* core, const char* device, ...)"),
    // Declared without the properties that may follow: koffi calls no function with a variable number of arguments beside the loop.
    compile: api.func("int ov_core_compile_model(void* core, void* model, const char* device, size_t n, _Out_ void** compiled)"),
    property: api.func("int ov_core_get_property(void* core, const char* device, const char* key, _Out_ char** value)"),
    request: api.func("int ov_compiled_model_create_infer_request(void* compiled, _Out_ void** request)"),
    wrap: api.func("int ov_tensor_create_from_host_ptr(int type, kiln_ov_shape shape, void* data, _Out_ void** tensor)"),
    setInput: api.func("int ov_infer_request_set_input_tensor_by_index(void* request, size_t i, void* tensor)"),
    getOutput: api.func("int ov_infer_request_get_output_tensor_by_index(void* request, size_t i, _Out_ void** tensor)"),
    infer: api.func("int ov_infer_request_infer(void* request)"),
    profile: api.func("int ov_infer_request_get_profiling_info(void* request, _Out_ kiln_ov_profiles* list)"),
    freeProfile: api.func("void ov_profiling_info_list_free(kiln_ov_profiles* list)"),
    shape: api.func("int ov_tensor_get_shape(void* tensor, _Out_ kiln_ov_shape* shape)"),
    freeShape: api.func("int ov_shape_free(kiln_ov_shape* shape)"),
    data: api.func("int ov_tensor_data(void* tensor, _Out_ void** data)"),
    bytes: api.func("int ov_tensor_get_byte_size(void* tensor, _Out_ size_t* n)"),
    freeTensor: api.func("void ov_tensor_free(void* tensor)"),
    freeModel: api.func("void ov_model_free(void* model)"),
    freeCompiled: api.func("void ov_compiled_model_free(void* compiled)"),
    freeRequest: api.func("void ov_infer_request_free(void* request)"),
  };
}

/** The functions, and errors as exceptions. */
interface Calls {
  readonly f: ReturnType<typeof declared>;
  /** @throws KilnError backend_failed with the library's own words, where a call says that it went wrong. */
  check(status: number): void;
  /** What a call puts into its last parameter. */
  out(call: (cell: Out) => number): Handle;
  /** A call beside the event loop. */
  aside(what: string, call: (done: (error: unknown, status: number) => void) => void): Promise<void>;
}

function checkedCalls(api: Api): Calls {
  const f = declared(api);
  const check = (status: number): void => {
    if (status !== 0) throw new KilnError("backend_failed", `OpenVINO refused (${status}): ${f.error()}`);
  };
  return {
    f,
    check,
    out: (call) => {
      const cell: Out = [null];
      check(call(cell));
      return cell[0];
    },
    aside: (what, call) =>
      new Promise((resolve, reject) => {
        call((error, status) => {
          if (error || status !== 0) reject(new KilnError("backend_failed", `OpenVINO ${what}: ${error ?? f.error()}`));
          else resolve();
        });
      }),
  };
}

function bind(api: Api): Library {
  const calls = checkedCalls(api);
  const { f, check, out, aside } = calls;
  const free = { tensor: f.freeTensor, model: f.freeModel, compiled_model: f.freeCompiled, infer_request: f.freeRequest };
  return {
    core: out((cell) => f.core(cell)),
    readModel: (core, xml, length, weights) => out((cell) => f.read(core, xml, length, weights, cell)),
    setProperties: (core, device, properties) => {
      for (const [key, value] of Object.entries(properties)) check(f.setProperty(core, device, "str", key, "str", value));
    },
    compile: async (core, model, device) => {
      const cell: Out = [null];
      await aside("refused to compile", (done) => f.compile.async(core, model, device, 0, cell, done));
      return cell[0];
    },
    createRequest: (compiled) => out((cell) => f.request(compiled, cell)),
    wrap: (type, shape, memory) => out((cell) => f.wrap(type, { rank: shape.length, dims: shape }, memory, cell)),
    setInput: (request, index, tensor) => check(f.setInput(request, index, tensor)),
    infer: (request) => aside("failed while it ran", (done) => f.infer.async(request, done)),
    readOutput: (request, index) => readOutput(calls, request, index),
    readProfile: (request) => readProfile(calls, request),
    property: (core, device, name) => {
      const cell: [unknown] = [null];
      check(f.property(core, device, name, cell));
      return String(cell[0]);
    },
    free: (kind, handle) => free[kind](handle),
  };
}

function readOutput({ f, check, out }: Calls, request: Handle, index: number): ReturnType<Library["readOutput"]> {
  const koffi = nativeCalls();
  const tensor = out((cell) => f.getOutput(request, index, cell));
  const shape = { rank: 0, dims: null };
  check(f.shape(tensor, shape));
  const dims: unknown = koffi.decode(shape.dims, koffi.array("int64_t", Number(shape.rank), "Array"));
  f.freeShape(shape);
  const cell: [number] = [0];
  check(f.bytes(tensor, cell));
  const view = koffi.view(
    out((data) => f.data(tensor, data)),
    Number(cell[0]),
  );
  const data = new Float32Array(view.slice(0));
  f.freeTensor(tensor);
  return { shape: Array.isArray(dims) ? dims.map(Number) : [], data };
}

function readProfile({ f, check }: Calls, request: Handle): OperationTime[] {
  const koffi = nativeCalls();
  const list = { infos: null, size: 0 };
  check(f.profile(request, list));
  const operations: { status: number; real: number | bigint; name: string; kernel: string; type: string }[] = koffi.decode(
    list.infos,
    koffi.array("kiln_ov_profile", Number(list.size)),
  );
  f.freeProfile(list);
  return operations
    .filter(({ status }) => status === EXECUTED)
    .map(({ real, name, kernel, type }) => ({ name, type, kernel, microseconds: Number(real) }));
}
