"""diffusers' side of bench/gpu/run.mjs: reads one request a line, answers one line of JSON each, and stays until its input ends.

python worker-diffusers.py MODE     eager, compile (torch.compile, its default mode) or autotune (max-autotune, fused QKV projections)
"""

import ctypes
import json
import os
import resource
import signal
import sys
import time

# Whoever is killed and cannot end this process must not leave it on the GPU: prctl's PR_SET_PDEATHSIG.
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
mode = sys.argv[1]
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what libraries print must not come between answers

import torch  # noqa: E402
from diffusers import StableDiffusionXLPipeline  # noqa: E402

PROMPT = "a red house under a full moon"
state = {}


def load(checkpoint, device, precision, **_):
    started = time.perf_counter()
    pipe = StableDiffusionXLPipeline.from_pretrained(checkpoint, torch_dtype=getattr(torch, precision), add_watermarker=False)
    pipe.vae.enable_slicing()  # one picture at a time, as Kiln does: sixteen at once would take 100 GB
    pipe.set_progress_bar_config(disable=True)
    pipe = pipe.to(device)
    pipe.unet.to(memory_format=torch.channels_last)
    pipe.vae.to(memory_format=torch.channels_last)
    if mode == "autotune":  # as diffusers' own guide to speed advises
        pipe.fuse_qkv_projections()
        torch._inductor.config.conv_1x1_as_mm = True
        torch._inductor.config.coordinate_descent_tuning = True
        torch._inductor.config.coordinate_descent_check_all_directions = True
        torch._inductor.config.epilogue_fusion = False
    if mode != "eager":
        chosen = "max-autotune" if mode == "autotune" else "default"
        pipe.unet = torch.compile(pipe.unet, mode=chosen)
        pipe.vae.decode = torch.compile(pipe.vae.decode, mode=chosen)
    state.update(pipe=pipe, cuda=device == "cuda")
    synchronize()
    return {"backend": f"diffusers {mode}, {precision}", "seconds": time.perf_counter() - started}


def synchronize():
    if state.get("cuda"):
        torch.cuda.synchronize()


def picture(size, steps, batch, guidance, seed=1, **_):
    cuda, marks = state["cuda"], []

    def mark(*arguments):
        """The end of a step on the device, without waiting for it."""
        if cuda:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            marks.append(event)
        else:
            marks.append(time.perf_counter())
        return arguments[-1] if arguments else None

    synchronize()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    mark()
    pictures = state["pipe"](
        PROMPT,
        width=size,
        height=size,
        num_inference_steps=steps,
        guidance_scale=guidance,
        num_images_per_prompt=batch,
        generator=torch.Generator("cpu").manual_seed(seed),
        callback_on_step_end=mark,
    ).images
    synchronize()
    seconds = time.perf_counter() - started
    first, *ends = marks
    ends = [first.elapsed_time(end) / 1000 if cuda else end - first for end in ends]
    memory = {"torchPeakMib": round(torch.cuda.max_memory_allocated() / 2**20)} if cuda else {}
    assert len(pictures) == batch
    return {"seconds": seconds, "stepEnds": ends, "decode": seconds - ends[-1], **memory}


OPERATIONS = {"load": load, "picture": picture}
for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = {"ok": OPERATIONS[request.pop("do")](**request)}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    answer["hostPeakMib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
