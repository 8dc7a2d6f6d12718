import type { PromptSyntax } from "../../index.ts";
import type { Attempt, CaseKind } from "../attempt.ts";
import { inEveryLayout } from "../attempt.ts";
import type { ProducedTensors } from "../comparison.ts";
import { Fields } from "../fields.ts";
import type { Workbench } from "../workbench.ts";

/** `prompt` and `clip_skip` to what the UNet is told. */
export const textEncoder: CaseKind = (file, workbench) => encode(new Fields(file.meta), workbench, "plain");

/** The same with AUTOMATIC1111's grammar and chunks. */
export const weightedPrompt: CaseKind = (file, workbench) => encode(new Fields(file.meta), workbench, "a1111");

function encode(meta: Fields, workbench: Workbench, syntax: PromptSyntax): readonly Attempt[] {
  const prompt = meta.text("prompt");
  const clipSkip = meta.optionalNumber("clip_skip") ?? 0;
  return inEveryLayout(meta.text("checkpoint"), workbench, async ({ model }): Promise<ProducedTensors> => {
    const [encoded] = await model.prompts.encode([{ prompt, prompt2: prompt, clipSkip }], {
      syntax,
      inversions: [],
      adapters: [],
    });
    if (!encoded) throw new Error("the prompt was not encoded");
    const { states, pooled } = encoded;
    const { states: width } = model.prompts.widths;
    return {
      prompt_embeds: { shape: [1, states.length / width, width], data: states },
      ...(pooled ? { pooled_prompt_embeds: { shape: [1, pooled.length], data: pooled } } : {}),
    };
  });
}
