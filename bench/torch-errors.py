"""The error that torch itself makes in a reduced precision, for each network case of a reference folder.

    python bench/torch-errors.py bfloat16 ../shared/reference packages/diffusion/fixtures/torch-bfloat16-errors.json
    python bench/torch-errors.py float16 ../shared/reference packages/diffusion/fixtures/torch-float16-errors.json [--device cuda]

Writes {case: relative L2 error against the case's float32 answer}. The conformance runner holds Kiln's error in that precision beside
these numbers. Needs torch, diffusers and transformers (bench/reference-environment.sh).
"""

import argparse
import json
import pathlib
import warnings

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, ControlNetModel, UNet2DConditionModel
from safetensors import safe_open
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

warnings.filterwarnings("ignore")
parser = argparse.ArgumentParser()
parser.add_argument("precision", choices=["bfloat16", "float16"])
parser.add_argument("reference", type=pathlib.Path)
parser.add_argument("out", type=pathlib.Path)
parser.add_argument("--device", default="cpu")
options = parser.parse_args()
checkpoints, half, device = options.reference / "checkpoints", getattr(torch, options.precision), options.device
loaded = {}


def network(cls, folder):
    if folder not in loaded:
        loaded[folder] = cls.from_pretrained(folder, torch_dtype=half).eval().to(device)
    return loaded[folder]


def relative(actual, expected):
    expected = expected.float().to(device)
    return float((actual.float() - expected).norm() / expected.norm())


def unet_arguments(x):
    added = {"text_embeds": x["text_embeds"].to(half), "time_ids": x["time_ids"]} if "text_embeds" in x else None
    return dict(sample=x["sample"].to(half), timestep=x["timestep"], encoder_hidden_states=x["encoder_hidden_states"].to(half), added_cond_kwargs=added)


def unet(case, x):
    return network(UNet2DConditionModel, checkpoints / case["checkpoint"] / "unet")(**unet_arguments(x)).sample, x["output"]


def controlnet(case, x):
    down, mid = None, None
    for n, (name, scale) in enumerate(zip(case["controlnets"], case["scales"])):
        net = network(ControlNetModel, checkpoints / name)
        d, m = net(**unet_arguments(x), controlnet_cond=x[f"condition.{n}"].to(half), conditioning_scale=scale, guess_mode=case["guess_mode"], return_dict=False)
        down, mid = (list(d), m) if down is None else ([a + b for a, b in zip(down, d)], mid + m)
    net = network(UNet2DConditionModel, checkpoints / case["checkpoint"] / "unet")
    return net(**unet_arguments(x), down_block_additional_residuals=down, mid_block_additional_residual=mid).sample, x["output"]


def vae(case, x):
    net = network(AutoencoderKL, checkpoints / case["checkpoint"] / "vae")
    return net.decode(x["latent"].to(half)).sample, x["decoded"]


def vae_tiny(case, x):
    return network(AutoencoderTiny, checkpoints / case["checkpoint"]).decode(x["latent"].to(half)).sample, x["decoded"]


def text_encoder(case, x):
    folder, states, pooled = checkpoints / case["checkpoint"], [], None
    for part, cls in (("", CLIPTextModel), ("_2", CLIPTextModelWithProjection)):
        if not (folder / f"text_encoder{part}").exists():
            continue
        tokenizer = CLIPTokenizer.from_pretrained(folder / f"tokenizer{part}")
        ids = torch.tensor([tokenizer(case["prompt"], padding="max_length", max_length=77, truncation=True).input_ids], device=device)
        result = network(cls, folder / f"text_encoder{part}")(ids, output_hidden_states=True)
        states.append(result.hidden_states[-2 if case["clip_skip"] is None else -(case["clip_skip"] + 2)])
        pooled = getattr(result, "text_embeds", None)
    if pooled is None:
        return None
    return torch.cat(states, -1), x["prompt_embeds"]


errors = {}
with torch.no_grad():
    for kind, run in (("unet", unet), ("controlnet", controlnet), ("vae", vae), ("vae_tiny", vae_tiny), ("text_encoder", text_encoder)):
        for path in sorted((options.reference / "cases" / kind).glob("*.safetensors")):
            with safe_open(path, "pt") as f:
                case = json.loads(f.metadata()["case"])
                x = {name: f.get_tensor(name).to(device) for name in f.keys()}
            try:
                answer = run(case, x)
            except OSError:
                continue  # a checkpoint that is a single file here
            if answer is not None:
                errors[f"{kind}/{path.stem}"] = relative(*answer)
options.out.write_text(json.dumps(errors, indent=1) + "\n")
print(len(errors), "cases")
