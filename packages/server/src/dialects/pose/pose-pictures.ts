import { createHash } from "node:crypto";
import type { Caller } from "../../auth/caller.ts";
import { ServiceError } from "../../errors.ts";
import type { ServerContext } from "../../http/dialect.ts";
import type { ModelInfo } from "../../models/model.ts";
import { findPoseControl, fitPose } from "../pose-control.ts";

/** Poses that are remembered: applications draw many pictures of few poses. */
const REMEMBERED = 256;
/** Long enough for a series, and shorter than any retention of uploads. */
const REMEMBERED_MILLISECONDS = 3_600_000;

interface Remembered {
  reference: string;
  until: number;
}

/** Brings the poses that clients send to the size that is drawn, and remembers those that come again. */
export class PosePictures {
  readonly #context: ServerContext;
  readonly #known = new Map<string, Remembered>();

  constructor(context: ServerContext) {
    this.#context = context;
  }

  /**
   * The pose as a ControlNet of the native request: whole inside the size, centred on black. Raises `picture_invalid`
   * for what is no picture or no skeleton, and `model_not_found` without a ControlNet for poses.
   */
  async control(
    bytes: Buffer,
    size: { width: number; height: number },
    model: ModelInfo,
    caller: Caller,
  ): Promise<{ model: string; image: string }> {
    const controlNet = findPoseControl(model, this.#context.catalogue);
    const key = createHash("sha256").update(`${caller.owner} ${size.width}x${size.height} `).update(bytes).digest("hex");
    const known = this.#recall(key);
    if (controlNet && known !== undefined) return { model: controlNet.id, image: known };
    const fitted = await fitPose(bytes, size.width, size.height);
    // Only now, so that what cannot be a pose is said to be none; and before anything is kept.
    if (!controlNet) {
      throw new ServiceError(
        "model_not_found",
        `pose: no ControlNet for poses is installed for "${model.id}"; put one into MODELS_DIR, or leave the pose out.`,
        { field: "pose" },
      );
    }
    return { model: controlNet.id, image: await this.#keep(fitted, caller, key) };
  }

  async #keep(fitted: Buffer, caller: Caller, key: string): Promise<string> {
    const { id } = await this.#context.pictures.store(fitted, caller, "pose");
    const reference = `upload:${id}`;
    this.#known.set(key, { reference, until: Date.now() + REMEMBERED_MILLISECONDS });
    const [oldest] = this.#known.keys();
    if (this.#known.size > REMEMBERED && oldest !== undefined) this.#known.delete(oldest);
    return reference;
  }

  #recall(key: string): string | undefined {
    const found = this.#known.get(key);
    this.#known.delete(key);
    if (!found || found.until < Date.now()) return undefined;
    this.#known.set(key, found);
    return found.reference;
  }
}
