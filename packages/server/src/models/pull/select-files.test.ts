import { expect, test } from "vitest";
import { PullError } from "./pull-error.ts";
import { selectFiles } from "./select-files.ts";
import { formatSource, parseSource } from "./source.ts";

function chosen(paths: string[], file?: string): string[] {
  return selectFiles(
    paths.map((path) => ({ path, bytes: 1000 })),
    file,
    "a/b",
  ).map(({ path }) => path);
}

test("a diffusers repository gives configs, tokenizers and half precision, and no pickle, ONNX, Flax or second copy", () => {
  const wanted = [
    "model_index.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/config.json",
    "text_encoder/model.fp16.safetensors",
    "text_encoder_2/config.json",
    "text_encoder_2/model.safetensors.index.fp16.json",
    "text_encoder_2/model.fp16-00001-of-00002.safetensors",
    "text_encoder_2/model.fp16-00002-of-00002.safetensors",
    "scheduler/scheduler_config.json",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "tokenizer_2/tokenizer_config.json",
  ];
  const others = [
    "README.md",
    "sd_xl_base_1.0.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "unet/diffusion_pytorch_model.non_ema.safetensors",
    "unet/diffusion_pytorch_model.fp16.bin",
    "unet/model.onnx",
    "unet/model.onnx_data",
    "unet/openvino_model.xml",
    "vae/diffusion_pytorch_model.bin",
    "vae_1_0/diffusion_pytorch_model.safetensors",
    "vae_decoder/model.onnx",
    "text_encoder/flax_model.msgpack",
    "text_encoder_2/model.safetensors",
    "safety_checker/model.safetensors",
  ];
  expect(chosen([...others, ...wanted]).sort()).toEqual(wanted.sort());
});

test("without half precision the plain weights come, in parts with their index", () => {
  const parts = [
    "config.json",
    "diffusion_pytorch_model.safetensors.index.json",
    "diffusion_pytorch_model-00001-of-00002.safetensors",
    "diffusion_pytorch_model-00002-of-00002.safetensors",
  ];
  expect(chosen([...parts, "diffusion_pytorch_model.bin"]).sort()).toEqual([...parts].sort());
});

test("a LoRA's repository gives its one file", () => {
  expect(chosen(["README.md", "pytorch_lora_weights.safetensors", "sample.png"])).toEqual(["pytorch_lora_weights.safetensors"]);
  expect(chosen(["style.safetensors"])).toEqual(["style.safetensors"]);
  expect(chosen(["a.safetensors", "b.safetensors"], "b.safetensors")).toEqual(["b.safetensors"]);
});

test.each([
  [["a.safetensors", "b.safetensors"], undefined, "invalid_request", /holds 2 models.*a\/b:FILE.*a.safetensors, b.safetensors/],
  [["a.ckpt"], undefined, "no_safetensors", /only pickles/],
  [["README.md"], undefined, "no_safetensors", /has no safetensors/],
  [["model_index.json", "unet/config.json", "unet/model.bin"], undefined, "no_safetensors", /in unet\//],
  [["a.ckpt"], "a.ckpt", "no_safetensors", /pickle/],
  [["a.txt"], "a.txt", "no_safetensors", /no safetensors file/],
  [["a.safetensors"], "c.safetensors", "not_found", /there is a.safetensors/],
])("%j with %s is refused as %s", (paths, file, code, message) => {
  expect(() => chosen(paths, file)).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
});

test.each([
  ["org/name", { kind: "hub", repository: "org/name", revision: "main", file: undefined }],
  [" org/name@fp16 ", { kind: "hub", repository: "org/name", revision: "fp16", file: undefined }],
  ["org/name:sub/file.safetensors", { kind: "hub", repository: "org/name", revision: "main", file: "sub/file.safetensors" }],
  ["org/name@refs/pr/3:x.safetensors", { kind: "hub", repository: "org/name", revision: "refs/pr/3", file: "x.safetensors" }],
  ["https://huggingface.co/org/name", { kind: "hub", repository: "org/name", revision: "main", file: undefined }],
  ["https://huggingface.co/org/name/tree/v1", { kind: "hub", repository: "org/name", revision: "v1", file: undefined }],
  [
    "https://huggingface.co/org/name/resolve/main/a/b.safetensors?download=true",
    { kind: "hub", repository: "org/name", revision: "main", file: "a/b.safetensors" },
  ],
  ["civitai:12", { kind: "civitai", model: undefined, version: 12 }],
  ["https://civitai.com/models/34/a-name", { kind: "civitai", model: 34, version: undefined }],
  ["https://civitai.com/models/34/a-name?modelVersionId=56", { kind: "civitai", model: 34, version: 56 }],
  ["https://civitai.com/api/download/models/56?type=Model", { kind: "civitai", model: undefined, version: 56 }],
])("%s is understood", (text, source) => {
  expect(parseSource(text)).toEqual(source);
  const again = parseSource(formatSource(parseSource(text)));
  expect(formatSource(again)).toBe(formatSource(parseSource(text)));
});

test.each([
  "",
  "name",
  "/etc/passwd",
  "../..",
  "org/..",
  "org/na..me",
  "org/name/more",
  "org/name@../x",
  "org/name:../x.safetensors",
  "org/name:/x.safetensors",
  "org/name:a\\b.safetensors",
  "civitai:x",
  "https://example.org/org/name",
  "https://civitai.com/images/3",
  "https://",
  "https://huggingface.co/org/%zz",
  "x".repeat(2000),
])("%s is no source", (text) => {
  expect(() => parseSource(text)).toThrow(PullError);
});
