import type { TensorView, Weights } from "../tensor-view.ts";
import { indexesAfter, type Renamed, replacePrefix } from "./renaming.ts";

/** How a UNet's levels are made up: what its original names count through and diffusers' names spell out. */
export interface UNetPlan {
  /** Outermost first. */
  readonly down: readonly Level[];
  /** Innermost first. */
  readonly up: readonly Level[];
}

export interface Level {
  readonly resnets: number;
  readonly attention: boolean;
  /** Whether the level ends with a downsampler (way down) or an upsampler (way up). */
  readonly resampler: boolean;
}

const FIXED: readonly (readonly [original: string, ours: string])[] = [
  ["time_embed.0", "time_embedding.linear_1"],
  ["time_embed.2", "time_embedding.linear_2"],
  ["time_embed.cond_proj", "time_embedding.cond_proj"],
  ["label_emb.0.0", "add_embedding.linear_1"],
  ["label_emb.0.2", "add_embedding.linear_2"],
  ["input_blocks.0.0", "conv_in"],
  ["out.0", "conv_norm_out"],
  ["out.2", "conv_out"],
];

const RESNET: readonly (readonly [original: string, ours: string])[] = [
  ["in_layers.0", "norm1"],
  ["in_layers.2", "conv1"],
  ["emb_layers.1", "time_emb_proj"],
  ["out_layers.0", "norm2"],
  ["out_layers.3", "conv2"],
  ["skip_connection", "conv_shortcut"],
];

/** Leading parts of module names, original to ours (diffusers'), for a UNet or ControlNet of this plan. */
export function unetModuleTable(plan: UNetPlan): Map<string, string> {
  const table = new Map<string, string>(FIXED);
  const addResnet = (original: string, ours: string) => {
    for (const [a, b] of RESNET) table.set(`${original}.${a}`, `${ours}.${b}`);
  };
  let input = 1;
  plan.down.forEach((level, i) => {
    for (let j = 0; j < level.resnets; j++, input++) {
      addResnet(`input_blocks.${input}.0`, `down_blocks.${i}.resnets.${j}`);
      if (level.attention) table.set(`input_blocks.${input}.1`, `down_blocks.${i}.attentions.${j}`);
    }
    if (level.resampler) table.set(`input_blocks.${input++}.0.op`, `down_blocks.${i}.downsamplers.0.conv`);
  });
  addResnet("middle_block.0", "mid_block.resnets.0");
  table.set("middle_block.1", "mid_block.attentions.0");
  addResnet("middle_block.2", "mid_block.resnets.1");
  let output = 0;
  plan.up.forEach((level, i) => {
    for (let j = 0; j < level.resnets; j++, output++) {
      addResnet(`output_blocks.${output}.0`, `up_blocks.${i}.resnets.${j}`);
      if (level.attention) table.set(`output_blocks.${output}.1`, `up_blocks.${i}.attentions.${j}`);
    }
    if (level.resampler)
      table.set(`output_blocks.${output - 1}.${level.attention ? 2 : 1}.conv`, `up_blocks.${i}.upsamplers.0.conv`);
  });
  return table;
}

/** Reads the plan off original names (`input_blocks.4.1.proj_in.weight`): a level ends where something is resampled. */
function planFromOriginal(names: ReadonlySet<string>): UNetPlan {
  const down: Level[] = [];
  let level = { resnets: 0, attention: false };
  const close = (levels: Level[], resampler: boolean) => {
    levels.push({ ...level, resampler });
    level = { resnets: 0, attention: false };
  };
  for (const index of indexesAfter(names, "input_blocks.")) {
    const block = `input_blocks.${index}`;
    if (index === 0) continue;
    if (names.has(`${block}.0.op.weight`)) close(down, true);
    else {
      level.resnets++;
      level.attention ||= names.has(`${block}.1.norm.weight`);
    }
  }
  if (level.resnets > 0) close(down, false);
  const up: Level[] = [];
  for (const index of indexesAfter(names, "output_blocks.")) {
    const block = `output_blocks.${index}`;
    level.resnets++;
    level.attention ||= names.has(`${block}.1.norm.weight`);
    if (names.has(`${block}.1.conv.weight`) || names.has(`${block}.2.conv.weight`)) close(up, true);
  }
  if (level.resnets > 0) close(up, false);
  return { down, up };
}

/** Reads the plan off our names (`down_blocks.1.attentions.0.proj_in`), with or without `.weight` at their ends. */
export function planFromOurs(names: Iterable<string>): UNetPlan {
  const all = [...names];
  const levels = (blocks: string, resamplers: string): Level[] =>
    indexesAfter(all, `${blocks}.`).map((index) => {
      const block = `${blocks}.${index}`;
      return {
        resnets: indexesAfter(all, `${block}.resnets.`).length,
        attention: indexesAfter(all, `${block}.attentions.`).length > 0,
        resampler: indexesAfter(all, `${block}.${resamplers}.`).length > 0,
      };
    });
  return { down: levels("down_blocks", "downsamplers"), up: levels("up_blocks", "upsamplers") };
}

/** A UNet with original names (CompVis, Stability: `input_blocks`, `middle_block`, `output_blocks`) under ours. */
export function renameUNet(tensors: Weights): Renamed {
  return renameByTable(tensors, unetModuleTable(planFromOriginal(new Set(tensors.keys()))));
}

/** A ControlNet with original names (`input_blocks`, `zero_convs`, `input_hint_block`) under ours. */
export function renameControlNet(tensors: Weights): Renamed {
  const names = [...tensors.keys()];
  const table = unetModuleTable(planFromOriginal(new Set(names)));
  for (const index of indexesAfter(names, "zero_convs.")) table.set(`zero_convs.${index}.0`, `controlnet_down_blocks.${index}`);
  table.set("middle_block_out.0", "controlnet_mid_block");
  const hints = indexesAfter(names, "input_hint_block.");
  hints.forEach((index, position) => {
    const ours = position === 0 ? "conv_in" : position === hints.length - 1 ? "conv_out" : `blocks.${position - 1}`;
    table.set(`input_hint_block.${index}`, `controlnet_cond_embedding.${ours}`);
  });
  return renameByTable(tensors, table);
}

function renameByTable(tensors: Weights, table: ReadonlyMap<string, string>): Renamed {
  const weights = new Map<string, TensorView>();
  const unknown: string[] = [];
  for (const [name, view] of tensors) {
    const ours = /\.(weight|bias)$/.test(name) ? replacePrefix(name, table) : undefined;
    if (ours === undefined) unknown.push(name);
    else weights.set(ours, view);
  }
  return { weights, unknown };
}
