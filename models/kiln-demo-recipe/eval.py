"""Measure an exported checkpoint with plain diffusers.

    python eval.py --model ../kiln-demo --out .

Writes eval.json, contact_sheet.png and extras.png (other sizes, other sampler,
image-to-image). The checkers below are calibrated on drawn pictures first, so
eval.json also says what a perfect model would score ("ceiling").
"""
import argparse
import json
import os
import random
import time

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler, EulerDiscreteScheduler, StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline
from PIL import Image, ImageDraw

import scenes
from scenes import COLOURS, PLAIN_COLOURS, SHAPES, THING_COLOURS, Spec, light

PAL = np.array([COLOURS[c] for c in PLAIN_COLOURS], float)


# ----------------------------------------------------------- shape checks ----
def nearest(rgb, pal=PAL):
    return int(((np.asarray(rgb, float) - pal) ** 2).sum(1).argmin())


def template(shape, n=128):
    """Filled shape stretched to an n x n box."""
    p = np.array(scenes.shape_points(shape, 180))
    p = (p - p.min(0)) / (p.max(0) - p.min(0)) * (n - 1)
    im = Image.new("1", (n, n))
    ImageDraw.Draw(im).polygon([tuple(q) for q in p], fill=1)
    return np.asarray(im)


TEMPLATES = {s: template(s) for s in SHAPES}
ASPECT = {s: (lambda p: np.ptp(p[:, 0]) / np.ptp(p[:, 1]))(np.array(scenes.shape_points(s, 180))) for s in SHAPES}


def read_shape(im):
    """(foreground colour, background colour, shape, IoU) as seen in a picture."""
    a = np.asarray(im.convert("RGB"), float)
    h, w = a.shape[:2]
    m = max(8, h // 16)
    corners = np.concatenate([a[:m, :m], a[:m, -m:], a[-m:, :m], a[-m:, -m:]]).reshape(-1, 3)
    bg = np.median(corners, 0)
    c = a[h // 2 - 14:h // 2 + 14, w // 2 - 14:w // 2 + 14].reshape(-1, 3)
    fg = np.median(c, 0)
    mask = ((a - fg) ** 2).sum(2) < ((a - bg) ** 2).sum(2)
    best, iou = "none", 0.0
    ys, xs = np.where(mask)
    if len(xs) > 200 and ((fg - bg) ** 2).sum() > 900:
        from scipy import ndimage
        lab, n = ndimage.label(mask)
        k = lab[h // 2 - 14:h // 2 + 14, w // 2 - 14:w // 2 + 14]
        k = np.bincount(k[k > 0]).argmax() if (k > 0).any() else 1
        ys, xs = np.where(lab == k)
        box = Image.fromarray((lab == k)[ys.min():ys.max() + 1, xs.min():xs.max() + 1]).resize((128, 128), 0)
        box = np.asarray(box)
        ratio = (np.ptp(xs) + 1) / (np.ptp(ys) + 1)
        for s, t in TEMPLATES.items():
            v = (box & t).sum() / (box | t).sum() * min(ratio / ASPECT[s], ASPECT[s] / ratio)
            if v > iou:
                best, iou = s, float(v)
    return PLAIN_COLOURS[nearest(fg)], PLAIN_COLOURS[nearest(bg)], best, iou


def score_shapes(wants, pics):
    fg = bg = sh = al = 0
    iou, wrong = [], []
    for (f, b, s, p), im in zip(wants, pics):
        rf, rb, rs, v = read_shape(im)
        ok = (rf == f, rb == b, rs == s and v > .6)
        fg += ok[0]; bg += ok[1]; sh += ok[2]; al += all(ok)
        iou.append(v)
        if not all(ok):
            wrong.append([p, rf, rb, rs, round(v, 2)])
    n = len(pics)
    return dict(n=n, foreground_colour=fg / n, background_colour=bg / n, shape=sh / n, all_three=al / n, mean_iou=round(float(np.mean(iou)), 3)), wrong


# ----------------------------------------------------------- scene checks ----
SKY_REF = {"day": [(128, 192, 238), (170, 204, 232)], "sunset": [(238, 132, 122), (226, 142, 140)], "night": [(32, 42, 94), (40, 52, 104)]}


def read_sky(im):
    a = np.asarray(im.convert("RGB"), float)
    top = np.median(a[:int(a.shape[0] * .38)].reshape(-1, 3), 0)
    return min(SKY_REF, key=lambda k: min(((top - np.array(r)) ** 2).sum() for r in SKY_REF[k]))


def read_house(im, sky):
    """Which wall colour covers most of the middle of the picture."""
    a = np.asarray(im.convert("RGB"), float)
    h, w = a.shape[:2]
    win = a[int(h * .54):int(h * .82), int(w * .28):int(w * .72)].reshape(-1, 3)
    ref = [light(COLOURS[c], sky, .26) for c in THING_COLOURS]
    other = [light(c, sky, .8) for c in ((150, 200, 112), (124, 184, 88), (102, 166, 74), (122, 178, 92), (104, 164, 80))]
    other += [light((74, 74, 96), sky, .5), light((134, 66, 54), sky, .5), light((96, 62, 48), sky, .4), light((44, 122, 84), sky), (206, 232, 246)]
    other += [scenes.SKY_LOW[sky], light((122, 138, 172), sky, .8), light((100, 114, 150), sky, .8)]
    k = ((win[:, None] - np.array(ref + other, float)[None]) ** 2).sum(2).argmin(1)
    n = np.bincount(k, minlength=len(ref))[:len(ref)]
    return THING_COLOURS[int(n.argmax())] if n.max() > 300 else "none"


def house_prompts(n, rng):
    out = []
    for _ in range(n):
        c, s = rng.choice(THING_COLOURS), rng.choice(scenes.SKIES)
        place = rng.choice(["on green hills", "on a green hill", "in a green meadow", "in front of snowy mountains"])
        when = rng.choice({"day": ["under a blue sky", "during the day"], "sunset": ["at sunset"], "night": ["at night", "under a starry sky"]}[s])
        terrain = "mountains" if "mountain" in place else "hills"
        text = f"{'an' if c[0] in 'aeiou' else 'a'} {c} house {place} {when}"
        out.append((text, s, c, Spec("scene", rng.randrange(1 << 30), sky=s, terrain=terrain, weather="clear", subject="house", colour=c)))
    return out


def score_houses(wants, pics):
    sky = [read_sky(im) == s for (_, s, _, _), im in zip(wants, pics)]
    col = [read_house(im, s) for (_, s, _, _), im in zip(wants, pics)]
    ok = [c == w[2] for c, w in zip(col, wants)]
    wrong = [[w[0], read_sky(im), c] for w, im, c in zip(wants, pics, col) if c != w[2] or read_sky(im) != w[1]]
    return dict(n=len(pics), sky=float(np.mean(sky)), house_colour=float(np.mean(ok)), both=float(np.mean(np.array(sky) & np.array(ok)))), wrong


def sky_prompts(n, rng):
    out = []
    while len(out) < n:
        s = scenes.random_spec(rng, 0)
        t, f = scenes.caption(s, rng)
        if "sky" in f:
            out.append((t, s.sky))
    return out


SHEET = [
    "a red house on green hills at sunset", "a lighthouse by the sea at night with a full moon", "a sailing boat with a yellow sail at sea, blue sky, clouds",
    "a purple hot air balloon over green hills on a sunny day", "a cactus in the desert at sunset with the setting sun",
    "an orange tent in the mountains under the stars with a crescent moon", "a pine forest in winter, snow", "a white house in front of snowy mountains, falling snow",
    "a blue house in a green meadow with pine trees, daytime", "snowy mountains at sunset", "a red sailboat on the ocean at sunset with the sun",
    "a yellow tent in the desert at night, starry night", "a green balloon above sand dunes under a blue sky", "a lighthouse in the morning with white clouds",
    "a cozy purple cottage at night with a full moon", "green hills with clouds, sunny", "a pine tree forest at night with a crescent moon", "the sea with waves at dusk",
    "a tall cactus in the desert at night, full moon", "yellow house, mountains, sunset, clouds", "a red heart on a yellow background", "a large white star on a blue background",
    "a small green triangle on a black background", "a purple circle on an orange background",
]


def grid(pics, texts, cols, cell, path):
    rows = (len(pics) + cols - 1) // cols
    w, h = cell
    sheet = Image.new("RGB", (cols * (w + 8) + 8, rows * (h + 38) + 8), "white")
    d = ImageDraw.Draw(sheet)
    for i, (im, t) in enumerate(zip(pics, texts)):
        x, y = 8 + i % cols * (w + 8), 8 + i // cols * (h + 38)
        sheet.paste(im, (x, y))
        line, yy = "", y + im.height + 2
        for word in t.split():
            if d.textlength(line + " " + word) > w:
                d.text((x, yy), line, fill="black"); line, yy = word, yy + 11
            else:
                line = (line + " " + word).strip()
        d.text((x, yy), line, fill="black")
    sheet.save(path)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--model", default="../kiln-demo")
    ap.add_argument("--out", default=".")
    ap.add_argument("--n", type=int, default=200)
    ap.add_argument("--scenes", type=int, default=100)
    ap.add_argument("--bf16", action="store_true", help="bf16 autocast for the accuracy runs (three times faster on an AMX CPU)")
    ap.add_argument("--quick", action="store_true", help="a short look while training")
    a = ap.parse_args()
    pipe = StableDiffusionXLPipeline.from_pretrained(a.model)
    pipe.set_progress_bar_config(disable=True)
    pipe.to("cuda" if torch.cuda.is_available() else "cpu")

    def make(prompts, seed0=0, p=pipe, steps=20, bf16=a.bf16, **kw):
        pics = []
        for i in range(0, len(prompts), 10):
            part = prompts[i:i + 10]
            gens = [torch.Generator("cpu").manual_seed(seed0 + i + j) for j in range(len(part))]
            k = {x: (y[i:i + 10] if x == "image" else y) for x, y in kw.items()}
            with torch.inference_mode(), torch.autocast(pipe.device.type, torch.bfloat16, enabled=bf16):
                pics += p(part, num_inference_steps=steps, guidance_scale=5.0, generator=gens, **k).images
        return pics

    rng = random.Random(11)
    if a.quick:
        a.n, a.scenes = 40, 30
    wants = []
    for _ in range(a.n):
        f, b = rng.sample(PLAIN_COLOURS, 2)
        s = rng.choice(SHAPES)
        wants.append((f, b, s, f"{'an' if f[0] in 'aeiou' else 'a'} {f} {s} on {'an' if b[0] in 'aeiou' else 'a'} {b} background"))
    houses = house_prompts(a.scenes, rng)
    skies = sky_prompts(a.scenes, rng)
    res, t0 = {"accuracy_runs_in": "bf16 autocast" if a.bf16 else "fp32"}, time.time()
    drawn = [scenes.draw(Spec("shape", i, shape=w[2], fg=w[0], bg=w[1])) for i, w in enumerate(wants)]
    res["ceiling_of_the_checkers"] = {"shapes": score_shapes(wants, drawn)[0], "houses": score_houses(houses, [scenes.draw(h[3]) for h in houses])[0]}

    grid(make(SHEET, 1, bf16=False), SHEET, 6, (256, 256), os.path.join(a.out, "contact_sheet.png"))
    print("contact sheet", round(time.time() - t0), "s", flush=True)
    res["shapes_256_euler20_cfg5"], res["shapes_wrong"] = score_shapes(wants, make([w[3] for w in wants], 100))
    print(json.dumps(res["shapes_256_euler20_cfg5"]), round(time.time() - t0), "s", flush=True)
    hp = make([h[0] for h in houses], 500)
    res["houses_256_euler20_cfg5"], res["houses_wrong"] = score_houses(houses, hp)
    print(json.dumps(res["houses_256_euler20_cfg5"]), round(time.time() - t0), "s", flush=True)
    sp = make([s[0] for s in skies], 900)
    ok = [read_sky(im) == s[1] for im, s in zip(sp, skies)]
    res["sky_of_random_captions"] = dict(n=len(ok), sky=float(np.mean(ok)))
    print(json.dumps(res["sky_of_random_captions"]), round(time.time() - t0), "s", flush=True)
    if a.quick:
        return

    # other sizes, sampler, image to image
    few = wants[:30]
    res["shapes_320x256"] = score_shapes(few, make([w[3] for w in few], 100, width=320, height=256))[0]
    res["shapes_192x192"] = score_shapes(few, make([w[3] for w in few], 100, width=192, height=192))[0]
    show = SHEET[:6]
    extra, names = [], []
    for w, h in ((320, 256), (256, 320), (192, 192)):
        extra += make(show, 1, width=w, height=h); names += [f"{w}x{h}: {t}" for t in show]
    euler = pipe.scheduler
    pipe.scheduler = DPMSolverMultistepScheduler.from_config(euler.config, use_karras_sigmas=True, algorithm_type="dpmsolver++", solver_order=2)
    res["shapes_dpmpp2m_karras_8"] = score_shapes(few, make([w[3] for w in few], 100, steps=8))[0]
    extra += make(show, 1, steps=8); names += [f"DPM++ 2M Karras, 8 steps: {t}" for t in show]
    pipe.scheduler = EulerDiscreteScheduler.from_config(euler.config)
    i2i = StableDiffusionXLImg2ImgPipeline(**{k: v for k, v in pipe.components.items()})
    i2i.set_progress_bar_config(disable=True)
    base = [scenes.draw(h[3]) for h in houses[:20]]
    turn = {c: THING_COLOURS[(i + 3) % 7] for i, c in enumerate(THING_COLOURS)}
    new = [(h[0].replace(" an ", " a ").replace("an orange", "a orange").replace(f"a {h[2]} house", f"a {turn[h[2]]} house"), h[1], turn[h[2]], None) for h in houses[:20]]
    img = make([n[0] for n in new], 300, p=i2i, image=base, strength=.6)
    res["img2img_0.6_recoloured_houses"] = score_houses(new, img)[0]
    extra += base[:3] + img[:3]; names += ["start: " + h[0] for h in houses[:3]] + ["img2img 0.6: " + n[0] for n in new[:3]]
    neg = make([w[3] for w in few], 100, negative_prompt=["blurry, low quality"] * 10)
    res["shapes_with_negative_prompt"] = score_shapes(few, neg)[0]
    grid(extra, names, 6, (320, 320), os.path.join(a.out, "extras.png"))

    # the VAE alone
    vals = []
    r = random.Random(4242)
    for _ in range(48):
        im = scenes.draw(scenes.random_spec(r, .15))
        x = torch.from_numpy(np.asarray(im)).permute(2, 0, 1)[None].float().to(pipe.device) / 127.5 - 1
        with torch.inference_mode():
            y = pipe.vae.decode(pipe.vae.encode(x).latent_dist.mean).sample.clamp(-1, 1)
        vals.append(-10 * np.log10(((x - y) / 2).pow(2).mean().item()))
    res["vae_psnr_db"] = dict(mean=round(float(np.mean(vals)), 2), worst=round(float(np.min(vals)), 2))

    times = {}
    for steps in (8, 20, 50):
        t = time.time()
        with torch.inference_mode():
            pipe(SHEET[0], num_inference_steps=steps, generator=torch.Generator("cpu").manual_seed(1))
        times[f"{steps}_steps"] = round(time.time() - t, 2)
    res["seconds_per_picture_fp32"] = times | {"threads": torch.get_num_threads()}
    res["eval_seconds"] = round(time.time() - t0)
    json.dump(res, open(os.path.join(a.out, "eval.json"), "w"), indent=1)
    json.dump(scenes.word_list(), open(os.path.join(a.out, "words.json"), "w"), indent=1)
    print(json.dumps({k: v for k, v in res.items() if "wrong" not in k}, indent=1))


if __name__ == "__main__":
    main()
