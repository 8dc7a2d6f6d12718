/**
 * ONNX Runtime's profile (JSON in Chrome's trace format) summed by op. Nodes are the events of category Node whose names end in
 * _kernel_time; their time is the host's, so a device's kernels count in full only where launches wait for their end
 * (CUDA_LAUNCH_BLOCKING=1). What a kernel profile adds, where the library was built with one, is of category Kernel.
 */

/** @returns totals in milliseconds over all runs of the session, the slowest op first. */
export function sumByOp(text) {
  const events = parseTrace(text);
  const ops = new Map();
  let runs = 0;
  let runMilliseconds = 0;
  for (const { cat, name, dur, args } of events) {
    if (cat === "Session" && name === "model_run") {
      runs++;
      runMilliseconds += dur / 1000;
    }
    const isNode = cat === "Node" && name.endsWith("_kernel_time");
    if (!isNode && cat !== "Kernel") continue;
    const key = [cat, args?.op_name ?? name, args?.provider ?? ""].join("\t");
    const sum = ops.get(key) ?? { count: 0, milliseconds: 0 };
    ops.set(key, { count: sum.count + 1, milliseconds: sum.milliseconds + dur / 1000 });
  }
  const rows = [...ops].map(([key, sum]) => {
    const [category, op, provider] = key.split("\t");
    return { category, op, provider, ...sum };
  });
  return { runs, runMilliseconds, ops: rows.sort((a, b) => b.milliseconds - a.milliseconds) };
}

/** A profile that a process left unfinished lacks its closing bracket. */
function parseTrace(text) {
  try {
    return JSON.parse(text);
  } catch {
    return JSON.parse(`${text.trimEnd().replace(/,$/, "")}]`);
  }
}
