"""Plays an application that uses the package webuiapi; real-pictures.test.ts runs it against a server."""

import sys

import webuiapi
from PIL import Image

api = webuiapi.WebUIApi(host="127.0.0.1", port=int(sys.argv[1]), sampler="Euler a", steps=3)
SMALL = {"width": 64, "height": 64, "seed": 5}

result = api.txt2img(prompt="a red fox", negative_prompt="rain", cfg_scale=5, scheduler="karras", **SMALL)
assert result.image.size == (64, 64), result.image.size
assert result.info["seed"] == 5 and result.info["sampler_name"] == "Euler a", result.info
assert result.info["infotexts"][0].startswith("a red fox\nNegative prompt: rain\nSteps: 3"), result.info
assert result.parameters["prompt"] == "a red fox"

two = api.txt2img(prompt="a red fox", batch_size=2, **SMALL)
assert len(two.images) == 2 and two.info["all_seeds"] == [5, 6], two.info

large = api.txt2img(
    prompt="a red fox",
    enable_hr=True,
    hr_scale=2,
    hr_upscaler=webuiapi.HiResUpscaler.Latent,
    hr_second_pass_steps=2,
    denoising_strength=0.6,
    hr_prompt="a red fox with whiskers",
    hr_sampler_name="DPM++ 2M",
    **SMALL,
)
assert "Hires prompt: a red fox with whiskers" in large.info["infotexts"][0], large.info
assert large.image.size == (128, 128), large.image.size

changed = api.img2img(images=[result.image], prompt="a blue bird", denoising_strength=0.8, **SMALL)
assert changed.image.size == (64, 64)
mask = Image.new("RGB", (64, 64), "white")
inpainted = api.img2img(images=[result.image], mask_image=mask, prompt="x", inpainting_fill=1, **SMALL)
assert inpainted.image.size == (64, 64)
varied = api.txt2img(prompt="a red fox", subseed=9, subseed_strength=0.3, batch_size=2, **SMALL)
assert varied.info["all_seeds"] == [5, 5] and varied.info["all_subseeds"] == [9, 10], varied.info
half = Image.new("L", (96, 96), 0)
half.paste(255, (48, 48, 80, 72))
around = Image.new("RGB", (96, 96), (10, 200, 30))
for whole_picture in (False, True):
    part = api.img2img(
        images=[around],
        mask_image=half,
        prompt="x",
        mask_blur=2,
        inpaint_full_res=not whole_picture,
        inpaint_full_res_padding=8,
        **SMALL,
    )
    assert part.image.size == ((64, 64) if whole_picture else (96, 96)), part.image.size
    assert part.image.getpixel((4, 4)) == (10, 200, 30), part.image.getpixel((4, 4))

assert api.controlnet_version() >= 2
assert "none" in api.controlnet_module_list()
model = next(name for name in api.controlnet_model_list() if "depth" in name)
unit = webuiapi.ControlNetUnit(image=result.image, module="none", model=model, weight=1.0)
steered = api.txt2img(prompt="a red fox", controlnet_units=[unit], **SMALL)
assert steered.image.size == (64, 64)
assert api.controlnet_detect(images=[result.image], module="none").image.size == (64, 64)

upscaled = api.extra_single_image(image=result.image, upscaler_1=webuiapi.Upscaler.Lanczos, upscaling_resize=1.5)
assert upscaled.image.size == (96, 96), upscaled.image.size
assert len(api.extra_batch_images(images=[result.image] * 2, upscaler_1="None", upscaling_resize=2).images) == 2
described = api.png_info(result.image)
assert isinstance(described.info, str)

assert "tiny-xl" in api.util_get_model_names()
assert "DPM++ 2M" in api.util_get_sampler_names()
assert "karras" in api.util_get_scheduler_names()
api.util_set_model("tiny-sd15", find_closest=False)
assert api.util_get_current_model() == "tiny-sd15"
other = api.txt2img(prompt="a red fox", **SMALL)
assert other.info["sd_model_name"] == "tiny-sd15", other.info
api.util_set_model("tiny-xl", find_closest=False)
options = api.get_options()
options["samples_format"] = "jpg"
api.set_options(options)
assert api.txt2img(prompt="x", **SMALL).image.format == "JPEG"
api.set_options({"samples_format": "png"})
for listed in (
    api.get_sd_vae,
    api.get_upscalers,
    api.get_latent_upscale_modes,
    api.get_loras,
    api.get_hypernetworks,
    api.get_face_restorers,
    api.get_realesrgan_models,
    api.get_prompt_styles,
):
    assert isinstance(listed(), list), listed
for described_by in (api.get_cmd_flags, api.get_embeddings, api.get_memory, api.get_scripts, api.interrupt):
    assert isinstance(described_by(), dict), described_by
api.refresh_checkpoints()
api.skip()
api.util_wait_for_ready(check_interval=0.1)
try:
    api.interrogate(result.image)
    raise AssertionError("interrogation is not there")
except RuntimeError as error:
    assert error.args[0] == 501, error
print("all is well")
