import { KilnError } from "../errors.ts";
import { concatenate } from "../graph/tensor.ts";
import type { AdapterStack } from "../networks/adapter-stack.ts";
import type { NoisePredictor } from "../networks/noise-predictor.ts";
import type { Row } from "../networks/row.ts";
import { blendByMask } from "../schedulers/arithmetic.ts";
import { guided } from "./guidance.ts";
import type { Inpainting, Slot, SlotControl } from "./slot.ts";

/**
 * One evaluation for each of several slots, in one call of the UNet as far as their ControlNets allow (`NoisePredictor`): the
 * unit of work of the whole engine.
 * The slots must share a size and a number of text tokens (`sharesCall`); everything else is each slot's own.
 *
 * @param stack the adapters of all the slots, or undefined where none has any.
 * @returns for each slot the scheduler's estimate of the finished latents, where it makes one.
 * @throws KilnError numeric where a prediction is not a number.
 */
export async function step(
  predictor: NoisePredictor,
  slots: readonly Slot[],
  stack: AdapterStack | undefined,
): Promise<(Float32Array | undefined)[]> {
  const size = { height: slots[0]?.definition.height ?? 0, width: slots[0]?.definition.width ?? 0 };
  const predictions = await predictor.predict(slots.flatMap(rowsOf), size, stack);
  return slots.map((slot) => advance(slot, predictions.splice(0, slot.rows)));
}

/** Whether two slots can be rows of one call. */
export function sharesCall(a: Slot, b: Slot): boolean {
  const [one, other] = [a.definition, b.definition];
  return one.height === other.height && one.width === other.width && one.positive.text.length === other.positive.text.length;
}

/** The slot's rows: negative first where it has guidance. */
function rowsOf(slot: Slot): Row[] {
  const { scheduler, positive, negative, adapters, inpainting } = slot.definition;
  const scaled = scheduler.scaleModelInput(slot.latents, slot.scheduler);
  const sample = inpainting?.maskedLatents ? concatenate(scaled, inpainting.mask, inpainting.maskedLatents) : scaled;
  const timestep = scheduler.timesteps[slot.scheduler.index] ?? 0;
  const controls = slot.definition.controls.filter((control) => control.scale !== 0 && acts(slot, control));
  const shared = { sample, timestep, adapters };
  const whole = { ...shared, conditioning: positive, controls };
  if (!negative) return [whole];
  return [{ ...shared, conditioning: negative, controls: controls.filter(({ positiveOnly }) => positiveOnly !== true) }, whole];
}

/** Whether the coming evaluation lies wholly inside a control's part of the run; a run that ends early counts as the whole would. */
function acts({ definition, scheduler: { index } }: Slot, control: SlotControl): boolean {
  const total = definition.scheduler.timesteps.length - definition.begin;
  const done = index - definition.begin;
  return done / total >= control.start && (done + 1) / total <= control.end;
}

/** Takes the network's answers into the slot. */
function advance(slot: Slot, predictions: readonly Float32Array[]): Float32Array | undefined {
  const { scheduler, guidance, negative, noise, inpainting } = slot.definition;
  const [first, second] = predictions;
  if (!first) throw new Error("a prediction is missing");
  const output = negative && second ? guided(first, second, guidance) : first;
  if (!output.every(Number.isFinite)) {
    throw new KilnError(
      "numeric",
      `The UNet's answer at step ${slot.scheduler.index + 1} is not a number. The checkpoint or an adapter holds damaged weights, or an adapter's weight is far too large.`,
    );
  }
  const result = scheduler.step(output, slot.latents, slot.scheduler, noise.draw);
  slot.scheduler = result.state;
  slot.latents = inpainting?.keep ? keepUnmasked(slot, result.sample, inpainting.mask, inpainting.keep) : result.sample;
  return result.predictedOriginal;
}

/** Outside the mask, the given picture as it would be at this noise level (as diffusers' inpainting with 4-channel networks does). */
function keepUnmasked(slot: Slot, sample: Float32Array, mask: Float32Array, keep: NonNullable<Inpainting["keep"]>): Float32Array {
  const { scheduler } = slot.definition;
  if (slot.done) return blendByMask(sample, keep.latents, mask);
  return keep.noise ? blendByMask(sample, scheduler.addNoise(keep.latents, keep.noise, slot.scheduler.index), mask) : sample;
}
