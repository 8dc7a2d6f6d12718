"""diffusers' side of bench/sdxl.mjs: measures one part and prints one line of JSON.

python bench/sdxl.py FOLDER PART SIZE CALLS SETTING

SETTING is a type (float32, bfloat16), and after it what diffusers' own guides for speed say: -last for channels last in memory,
-compiled for channels last and torch.compile.
"""

import io
import json
import sys

from measuring import PROMPT, THREADS, memory, since_start, timed

folder, part, size, calls = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
precision, _, extra = sys.argv[5].partition("-")
marks = {}


def mark(name):
    marks[name] = since_start()


import torch  # noqa: E402
from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel  # noqa: E402

torch.set_num_threads(THREADS)
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
        pipe(PROMPT, width=size, height=size, num_inference_steps=20, guidance_scale=5.0, callback_on_step_end=stop)
    except FirstStep:
        pass


def step():
    unet = tuned(UNet2DConditionModel.from_pretrained(folder, subfolder="unet", torch_dtype=dtype))
    mark("ready")
    side = size // 8
    sample, text = torch.randn(2, 4, side, side, dtype=dtype), torch.randn(2, 77, 2048, dtype=dtype)
    added = {"text_embeds": torch.randn(2, 1280, dtype=dtype), "time_ids": torch.full((2, 6), float(size), dtype=dtype)}
    marks.update(timed(lambda: unet(sample, 500, text, added_cond_kwargs=added), calls))


def vae():
    decoder = AutoencoderKL.from_pretrained(folder, subfolder="vae", torch_dtype=dtype)
    if extra:
        decoder.to(memory_format=torch.channels_last)
    if extra == "compiled":
        decoder.decode = torch.compile(decoder.decode)
    mark("ready")
    latents = torch.randn(1, 4, size // 8, size // 8, dtype=dtype)
    marks.update(timed(lambda: decoder.decode(latents), calls))


def picture(steps, guidance):
    pipe = loaded()

    def draw():
        (image,) = pipe(PROMPT, width=size, height=size, num_inference_steps=steps, guidance_scale=guidance).images
        image.save(io.BytesIO(), "PNG")

    marks.update(timed(draw, calls))


with torch.inference_mode():
    {"load": load, "step": step, "vae": vae, "picture": lambda: picture(20, 5.0), "fewsteps": lambda: picture(4, 1.0)}[part]()
print(json.dumps(marks | memory()))
