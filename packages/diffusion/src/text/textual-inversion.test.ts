import { describe, expect, it } from "vitest";
import { readTensor } from "../checkpoint/read-tensor.ts";
import { openSafetensors } from "../checkpoint/safetensors.ts";
import { referencePath } from "../testing/reference.ts";
import { type EmbeddingTensor, MAX_EMBEDDING_VECTORS, parseTextualInversion } from "./textual-inversion.ts";

const tensor = (...shape: number[]): EmbeddingTensor => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i),
});

describe("parseTextualInversion", () => {
  it("reads SDXL's two encoders, under either pair of names", () => {
    for (const [first, second] of [
      ["clip_l", "clip_g"],
      ["text_encoders_0", "text_encoders_1"],
    ] as const) {
      const { names, vectors } = parseTextualInversion(
        new Map([
          [first, tensor(2, 3)],
          [second, tensor(2, 5)],
        ]),
        "style",
        "<s>",
      );
      expect(names).toEqual(["<s>", "style"]);
      expect(vectors.get("clip_l")?.[1]).toEqual(Float32Array.of(3, 4, 5));
      expect(vectors.get("clip_g")?.[1]).toEqual(Float32Array.of(5, 6, 7, 8, 9));
    }
  });

  const path = referencePath("checkpoints/embeddings/kiln-style.safetensors");
  it.skipIf(path === undefined)("reads a file", async () => {
    const tensors = new Map<string, EmbeddingTensor>();
    for (const [name, view] of (await openSafetensors(path ?? "")).tensors)
      tensors.set(name, { shape: view.shape, data: await readTensor(view) });
    const { vectors } = parseTextualInversion(tensors, "kiln-style");
    expect(vectors.get("clip_l")?.map((vector) => vector.length)).toEqual([32, 32]);
    expect(vectors.get("clip_g")?.map((vector) => vector.length)).toEqual([64, 64]);
  });

  it("reads SD 1.5's emb_params beside other tensors, and a single tensor by its token", () => {
    expect(
      parseTextualInversion(
        new Map([
          ["emb_params", tensor(1, 4)],
          ["step", tensor(1)],
        ]),
        "old",
      ).vectors.get("clip_l"),
    ).toHaveLength(1);
    expect(parseTextualInversion(new Map([["<cat>", tensor(4)]]), "old").names).toEqual(["old", "<cat>"]);
  });

  it.each<[string, [string, EmbeddingTensor][], string]>([
    ["no tensors", [], "file_unsupported"],
    [
      "a LoRA",
      [
        ["lora_up.weight", tensor(2, 2)],
        ["lora_down.weight", tensor(2, 2)],
      ],
      "file_unsupported",
    ],
    ["three dimensions", [["clip_l", tensor(1, 2, 3)]], "file_corrupt"],
    ["a scalar", [["clip_l", tensor()]], "file_corrupt"],
    ["no vectors", [["clip_l", tensor(0, 3)]], "file_corrupt"],
    ["too many vectors", [["clip_l", tensor(MAX_EMBEDDING_VECTORS + 1, 2)]], "file_corrupt"],
    ["NaN", [["clip_l", { shape: [1, 1], data: Float32Array.of(Number.NaN) }]], "file_corrupt"],
  ])("refuses %s", (_, tensors, code) => {
    expect(() => parseTextualInversion(new Map(tensors), "bad")).toThrow(expect.objectContaining({ code, subject: "bad" }));
  });
});
