"""stable-diffusion.cpp's side of bench/sdxl.mjs: measures one part and prints one line of JSON.

python bench/sdxl-cpp.py FILE PART SIZE CALLS SETTING

It reads the single file, not the folder. SETTING is the type in memory, as the library names it (f16, q8_0), after "cpp-".
"""

import io
import json
import os
import sys
import time

from measuring import PROMPT, THREADS, cpu, memory, since_start, timed

file, part, size, calls, setting = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
marks = {}
# The library prints to the file descriptor, and the last line of standard output is the answer.
answer = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

from stable_diffusion_cpp import StableDiffusion  # noqa: E402

model = StableDiffusion(
    model_path=file,
    wtype=setting.removeprefix("cpp-"),
    n_threads=THREADS,
    diffusion_flash_attn=True,
    verbose=False,
)
marks["ready"] = since_start()


def draw(steps, guidance, callback=None):
    (image,) = model.generate_image(
        prompt=PROMPT,
        width=size,
        height=size,
        sample_steps=steps,
        cfg_scale=guidance,
        sample_method="euler",
        seed=1,
        progress_callback=callback,
    )
    image.save(io.BytesIO(), "PNG")


def step():
    """From one report of progress to the next: a step with guidance, which is two calls of the UNet here."""
    reports = []
    draw(calls + 2, 5.0, lambda *_: reports.append((time.time(), cpu())))
    reports = reports[-calls - 2 :]
    times = [{"wall": b[0] - a[0], "cpu": b[1] - a[1]} for a, b in zip(reports, reports[1:])]
    return {"first call": times[0], "calls": times[1:]}


parts = {
    "step": step,
    "picture": lambda: timed(lambda: draw(20, 5.0), calls),
    "fewsteps": lambda: timed(lambda: draw(4, 1.0), calls),
}
marks.update(parts[part]())
print(json.dumps(marks | memory()), file=answer, flush=True)
