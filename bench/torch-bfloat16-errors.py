"""The error that torch itself makes in bfloat16, for each network case of a reference folder.

    python bench/torch-bfloat16-errors.py ../shared/reference packages/diffusion/fixtures/torch-bfloat16-errors.json

Writes {case: relative L2 error against the case's float32 answer}. The conformance runner holds Kiln's bfloat16 beside these numbers.
Needs torch, diffusers and transformers (bench/reference-environment.sh).
"""

import json
import pathlib
import sys
import warnings

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from safetensors import safe_open
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

warnings.filterwarnings("ignore")
reference, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
checkpoints, half = reference / "checkpoints", torch.bfloat16
loaded = {}


def network(cls, folder):
    if folder not in loaded:
        loaded[folder] = cls.from_pretrained(folder, torch_dtype=half).eval()
    return loaded[folder]


def relative(actual, expected):
    return float((actual.float() - expected.float()).norm() / expected.float().norm())


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


def text_encoder(case, x):
    folder, states, pooled = checkpoints / case["checkpoint"], [], None
    for part, cls in (("", CLIPTextModel), ("_2", CLIPTextModelWithProjection)):
        if not (folder / f"text_encoder{part}").exists():
            continue
        tokenizer = CLIPTokenizer.from_pretrained(folder / f"tokenizer{part}")
        ids = torch.tensor([tokenizer(case["prompt"], padding="max_length", max_length=77, truncation=True).input_ids])
        result = network(cls, folder / f"text_encoder{part}")(ids, output_hidden_states=True)
        states.append(result.hidden_states[-2 if case["clip_skip"] is None else -(case["clip_skip"] + 2)])
        pooled = getattr(result, "text_embeds", None)
    if pooled is None:
        return None
    return torch.cat(states, -1), x["prompt_embeds"]


errors = {}
with torch.no_grad():
    for kind, run in (("unet", unet), ("controlnet", controlnet), ("vae", vae), ("text_encoder", text_encoder)):
        for path in sorted((reference / "cases" / kind).glob("*.safetensors")):
            with safe_open(path, "pt") as f:
                case = json.loads(f.metadata()["case"])
                x = {name: f.get_tensor(name) for name in f.keys()}
            try:
                answer = run(case, x)
            except OSError:
                continue  # a checkpoint that is a single file here
            if answer is not None:
                errors[f"{kind}/{path.stem}"] = relative(*answer)
out.write_text(json.dumps(errors, indent=1) + "\n")
print(len(errors), "cases")
