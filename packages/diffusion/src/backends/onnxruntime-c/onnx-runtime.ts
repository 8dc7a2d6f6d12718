import { ELEMENT_TYPE, type ELEMENT_TYPE as ElementNumbers, LOG_LEVEL, OPTIMIZATION_LEVEL } from "./api-table.ts";
import { NativeSession } from "./native-session.ts";
import { type Handle, OrtLibrary } from "./ort-library.ts";

export type ElementType = keyof typeof ElementNumbers;

/** Where a tensor's numbers lie: `Cpu`, or `Cuda` with the device's number. */
export interface Place {
  readonly name: "Cpu" | "Cuda";
  readonly device: number;
}

/** A tensor over memory that its owner keeps alive and in its place. */
export interface TensorPlace {
  readonly place: Place;
  readonly address: bigint;
  readonly byteLength: number;
  readonly type: ElementType;
  readonly shape: readonly number[];
}

export interface SessionSettings {
  /** `none`: what was written is what runs. Default `none`. */
  readonly optimizations?: keyof typeof OPTIMIZATION_LEVEL;
  readonly threads?: number;
  /** onnxruntime_session_options_config_keys.h. */
  readonly config?: Readonly<Record<string, string>>;
  /** Options of the CUDA provider by their published names (`OrtCUDAProviderOptionsV2`); undefined: no such provider. */
  readonly cuda?: Readonly<Record<string, string>> | undefined;
  /** Weights by their names in the model, used where they lie. The session keeps no copy, so they must outlive it. */
  readonly initializers?: ReadonlyMap<string, Handle>;
  /** Times every op of every run into a file whose name begins so. */
  readonly profile?: string | undefined;
  /** Says on standard error which op went to which device. */
  readonly verbose?: boolean;
}

/** OrtAllocatorType. */
const ALLOCATOR = { device: 0, arena: 1 } as const;
/** OrtMemTypeDefault. */
const DEFAULT_MEMORY = 0;

/** One loaded ONNX Runtime: its environment, and what is made in it. */
export class OnnxRuntime {
  readonly library: OrtLibrary;
  readonly #environment: Handle;
  readonly #atExit = (): void => this.#leave();
  readonly #places = new Map<string, Handle>();

  /**
   * @param path the shared library.
   * @throws KilnError backend_unavailable
   */
  constructor(path: string) {
    this.library = new OrtLibrary(path);
    this.#environment = this.library.create("CreateEnv", LOG_LEVEL.error, "kiln");
    process.once("exit", this.#atExit);
  }

  get version(): string {
    return this.library.version;
  }

  /** A tensor over memory; `release` frees the tensor and leaves the memory. */
  tensor({ place, address, byteLength, type, shape }: TensorPlace): Handle {
    const sizes = new BigInt64Array(shape.map(BigInt));
    return this.library.create(
      "CreateTensorWithDataAsOrtValue",
      this.#place(place),
      address,
      byteLength,
      sizes,
      shape.length,
      ELEMENT_TYPE[type],
    );
  }

  releaseTensor(tensor: Handle): void {
    this.library.release("ReleaseValue", tensor, "CreateTensorWithDataAsOrtValue");
  }

  /**
   * Gives all sessions of the process that ask for it (`session.use_env_allocators`) one arena on a device, and limits it. Of
   * several arenas for one device, sessions that are made later take the last.
   * @param limitBytes at most so much; 0: all that there is.
   */
  shareArena(place: Place, limitBytes: number): void {
    const { library } = this;
    // An arena that grows by what is asked for gives all of it back; one that doubles keeps up to half unused.
    const settings = { max_mem: BigInt(limitBytes), arena_extend_strategy: SAME_AS_REQUESTED };
    const values = new BigUint64Array(Object.values(settings));
    const bytes = new Uint8Array(values.buffer);
    const arena = library.create("CreateArenaCfgV2", Object.keys(settings), bytes, values.length);
    const memory = library.create("CreateMemoryInfo", place.name, ALLOCATOR.arena, place.device, DEFAULT_MEMORY);
    try {
      const options = { device_id: `${place.device}` };
      library.do(
        "CreateAndRegisterAllocatorV2",
        this.#environment,
        place.name === "Cuda" ? "CUDAExecutionProvider" : "CPUExecutionProvider",
        memory,
        arena,
        Object.keys(options),
        Object.values(options),
        place.name === "Cuda" ? 1 : 0,
      );
    } finally {
      library.release("ReleaseMemoryInfo", memory, "CreateMemoryInfo");
      library.release("ReleaseArenaCfg", arena, "CreateArenaCfgV2");
    }
  }

  /**
   * Compiles a model, on another thread.
   * @throws KilnError backend_failed with the op's name where one has no kernel; backend_unavailable where the provider's
   *   libraries cannot be loaded; out_of_memory
   */
  async createSession(model: Uint8Array, settings: SessionSettings): Promise<NativeSession> {
    const { library } = this;
    const options = library.create("CreateSessionOptions");
    try {
      this.#configure(options, settings);
      const session = await library.createAside("CreateSessionFromArray", this.#environment, model, model.length, options);
      return new NativeSession(library, session);
    } finally {
      library.release("ReleaseSessionOptions", options, "CreateSessionOptions");
    }
  }

  /**
   * Loads the CUDA provider and has it read some options.
   * @throws KilnError backend_unavailable where a library of it cannot be loaded; backend_failed for options that it does not know
   */
  checkCuda(settings: Readonly<Record<string, string>>): void {
    this.#withCuda(settings, () => undefined);
  }

  /** Frees the environment. Sessions and tensors must be gone. */
  async dispose(): Promise<void> {
    process.off("exit", this.#atExit);
    await this.library.endRuns();
    for (const place of this.#places.values()) this.library.release("ReleaseMemoryInfo", place, "CreateMemoryInfo");
    this.#places.clear();
    this.library.release("ReleaseEnv", this.#environment, "CreateEnv");
  }

  /** A process that ends with providers loaded crashes on its way out, unless the environment has let go of them. */
  #leave(): void {
    if (!this.library.isRunning) this.library.release("ReleaseEnv", this.#environment, "CreateEnv");
  }

  #configure(options: Handle, settings: SessionSettings): void {
    const { library } = this;
    const { optimizations = "none", threads, config = {}, cuda, initializers, profile, verbose = false } = settings;
    library.do("SetSessionGraphOptimizationLevel", options, OPTIMIZATION_LEVEL[optimizations]);
    library.do("SetSessionLogSeverityLevel", options, verbose ? LOG_LEVEL.verbose : LOG_LEVEL.error);
    if (threads !== undefined) library.do("SetIntraOpNumThreads", options, threads);
    if (profile !== undefined) library.do("EnableProfiling", options, profile);
    for (const [key, value] of Object.entries({ ...EXTERNAL_FOLDER, ...config }))
      library.do("AddSessionConfigEntry", options, key, value);
    for (const [name, tensor] of initializers ?? []) library.do("AddInitializer", options, name, tensor);
    if (cuda !== undefined) this.#appendCuda(options, cuda);
  }

  #appendCuda(options: Handle, settings: Readonly<Record<string, string>>): void {
    this.#withCuda(settings, (provider) => {
      this.library.do("SessionOptionsAppendExecutionProvider_CUDA_V2", options, provider);
    });
  }

  #withCuda(settings: Readonly<Record<string, string>>, use: (provider: Handle) => void): void {
    const { library } = this;
    const provider = library.create("CreateCUDAProviderOptions");
    try {
      const entries = Object.entries(settings);
      library.do("UpdateCUDAProviderOptions", provider, Object.keys(settings), Object.values(settings), entries.length);
      use(provider);
    } finally {
      library.release("ReleaseCUDAProviderOptions", provider, "CreateCUDAProviderOptions");
    }
  }

  #place({ name, device }: Place): Handle {
    const key = `${name} ${device}`;
    const known =
      this.#places.get(key) ?? this.library.create("CreateMemoryInfo", name, ALLOCATOR.device, device, DEFAULT_MEMORY);
    this.#places.set(key, known);
    return known;
  }
}

/** Where tensors lie that models name by a path without its leading slash (`ModelWriter`). */
const EXTERNAL_FOLDER = { "session.model_external_initializers_file_folder_path": "/" };

/** ArenaExtendStrategy kSameAsRequested. */
const SAME_AS_REQUESTED = 1n;
