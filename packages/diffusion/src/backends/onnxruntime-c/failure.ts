import { KilnError } from "../../errors.ts";

/** The library, CUDA and its libraries name allocation failures in several ways; all of them mean the same to the user. */
const OUT_OF_MEMORY = /bad_alloc|failed to allocate|out of memory|bfcarena|alloc_failed|memoryallocation|arena.*limit/i;

/** Nodes that no kernel is there for: the library names the first. */
const NO_KERNEL = /(?:Could not find an implementation for|Failed to find kernel for) (?:[a-z.]+\.)?(\w+)\(/;

/** Nodes that the device has no kernel for and the CPU has: the library does not say which. */
const LEFT_TO_CPU = /assigned to the default CPU EP|not been partitioned to the CUDAExecutionProvider/;

/** A library that the system's loader does not find. */
const MISSING_LIBRARY = /(\S+\.so[.\d]*): cannot open shared object file/;

/**
 * ONNX Runtime's error as Kiln's.
 * @param what the function that failed, or what was being done.
 */
export function failure(what: string, message: string): KilnError {
  const text = message.trim().replace(/\.$/, "");
  if (OUT_OF_MEMORY.test(text)) {
    return new KilnError(
      "out_of_memory",
      `The device's memory is used up. Draw a smaller picture or fewer at once. (${what}: ${text})`,
    );
  }
  const kernel = NO_KERNEL.exec(text)?.[1];
  if (kernel !== undefined) {
    return new KilnError("backend_failed", `ONNX Runtime has no kernel for ${kernel} on this device. (${text})`, {
      subject: kernel,
    });
  }
  if (LEFT_TO_CPU.test(text)) {
    return new KilnError(
      "backend_failed",
      `An op of this network has no kernel on the device, and would run on the CPU: the option verbose says which. (${text})`,
    );
  }
  const library = MISSING_LIBRARY.exec(text)?.[1];
  if (library !== undefined) {
    return new KilnError("backend_unavailable", `${library} is missing: ONNX Runtime's GPU part cannot be loaded. (${text})`, {
      subject: library,
    });
  }
  return new KilnError("backend_failed", `ONNX Runtime's ${what} failed: ${text}.`);
}
