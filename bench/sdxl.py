"""diffusers' side of bench/sdxl.mjs: measures one part and prints one line of JSON.

python bench/sdxl.py FOLDER PART SIZE CALLS SETTING

SETTING is a type (float32, bfloat16), and after it what diffusers' own guides for speed say: -last for channels last in memory,
-compiled for channels last and torch.compile.
"""

import io
import json
import os
import resource
import sys
import time

START = float(os.environ["BENCH_START"])
folder, part, size, calls = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
precision, _, extra = sys.argv[5].partition("-")
marks = {}


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def mark(name):
    marks[name] = {"wall": time.time() - START, "cpu": cpu()}


import torch  # noqa: E402
from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel  # noqa: E402

torch.set_num_threads(int(os.environ["BENCH_THREADS"]))
dtype = getattr(torch, precision)
mark("imported")


def tuned(module):
    """As https://huggingface.co/docs/diffusers/optimization/fp16 advises."""
    if extra:
        module.to(memory_format=torch.channels_last)
    if extra == "compiled":
        module.forward = torch.compile(module.forward)
    return module


def loaded():
    pipe = StableDiffusionXLPipeline.from_pretrained(folder, torch_dtype=dtype)
    pipe.set_progress_bar_config(disable=True)
    tuned(pipe.unet)
    if extra:
        pipe.vae.to(memory_format=torch.channels_last)
    if extra == "compiled":
        pipe.vae.decode = torch.compile(pipe.vae.decode)
    mark("ready")
    return pipe


class FirstStep(Exception):
    pass


def load():
    pipe = loaded()

    def stop(*_):
        mark("first step")
        raise FirstStep

    try:
        pipe("a red house under a full moon", width=size, height=size, num_inference_steps=20, guidance_scale=5.0, callback_on_step_end=stop)
    except FirstStep:
        pass


def timed(call):
    times = []
    for _ in range(calls + 1):
        wall, used = time.time(), cpu()
        call()
        times.append({"wall": time.time() - wall, "cpu": cpu() - used})
    marks["first call"] = times[0]
    marks["calls"] = times[1:]


def step():
    unet = tuned(UNet2DConditionModel.from_pretrained(folder, subfolder="unet", torch_dtype=dtype))
    mark("ready")
    side = size // 8
    sample, text = torch.randn(2, 4, side, side, dtype=dtype), torch.randn(2, 77, 2048, dtype=dtype)
    added = {"text_embeds": torch.randn(2, 1280, dtype=dtype), "time_ids": torch.full((2, 6), float(size), dtype=dtype)}
    timed(lambda: unet(sample, 500, text, added_cond_kwargs=added))


def vae():
    decoder = AutoencoderKL.from_pretrained(folder, subfolder="vae", torch_dtype=dtype)
    if extra:
        decoder.to(memory_format=torch.channels_last)
    if extra == "compiled":
        decoder.decode = torch.compile(decoder.decode)
    mark("ready")
    latents = torch.randn(1, 4, size // 8, size // 8, dtype=dtype)
    timed(lambda: decoder.decode(latents))


def picture(steps, guidance):
    pipe = loaded()

    def draw():
        (image,) = pipe("a red house under a full moon", width=size, height=size, num_inference_steps=steps, guidance_scale=guidance).images
        image.save(io.BytesIO(), "PNG")

    timed(draw)


with torch.inference_mode():
    {"load": load, "step": step, "vae": vae, "picture": lambda: picture(20, 5.0), "fewsteps": lambda: picture(4, 1.0)}[part]()
with open("/proc/self/status") as status:
    lines = dict(line.split(":", 1) for line in status)
marks["peak"] = int(lines["VmHWM"].split()[0]) * 1024
marks["anonymous"] = int(lines["RssAnon"].split()[0]) * 1024
print(json.dumps(marks))
