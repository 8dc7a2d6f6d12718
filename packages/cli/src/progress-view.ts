import type { GenerateProgress, Picture } from "@kiln/diffusion";
import { halfBlocks } from "./half-blocks.ts";

const BAR_WIDTH = 24;
/** Redrawing more often is work that nobody sees. */
const REDRAW_MILLISECONDS = 100;
/** Where there is no terminal, so many lines tell of the steps: logs are read afterwards. */
const PLAIN_LINES = 4;
const MILLISECONDS = 1000;

export interface ProgressViewOptions {
  /** Pictures that are drawn side by side. */
  readonly count: number;
  readonly quiet: boolean;
  /** Draws the picture as it forms; on a terminal alone. */
  readonly preview: boolean;
}

/** Says on standard error how far the pictures are: a bar on a terminal, a few plain lines elsewhere. */
export class ProgressView {
  readonly #options: ProgressViewOptions;
  readonly #terminal = process.stderr.isTTY === true;
  readonly #steps = new Map<number, number>();
  #total = 0;
  #begun: { at: number; done: number } | undefined;
  #redrawnAt = 0;
  #lines = 0;
  #toldPart = 0;
  #phase = "";
  #picture: Picture | undefined;

  constructor(options: ProgressViewOptions) {
    this.#options = options;
  }

  /** A sentence of its own, above the bar. */
  say(text: string): void {
    if (this.#options.quiet) return;
    this.#erase();
    process.stderr.write(`${text}\n`);
  }

  update(progress: GenerateProgress): void {
    if (this.#options.quiet) return;
    this.#steps.set(progress.picture, progress.step);
    this.#total = progress.totalSteps * this.#options.count;
    const done = this.#done;
    if (progress.phase === "denoising") this.#begun ??= { at: performance.now(), done };
    if (this.#terminal) this.#updateTerminal(progress);
    else this.#updatePlain(progress.phase, done);
  }

  /** Takes the bar away. */
  end(): void {
    this.#erase();
  }

  /** Seconds a step of one picture, over what was drawn so far; undefined until two steps are known. */
  get secondsPerStep(): number | undefined {
    const steps = this.#done - (this.#begun?.done ?? 0);
    return this.#begun && steps > 0 ? (performance.now() - this.#begun.at) / MILLISECONDS / steps : undefined;
  }

  get #done(): number {
    let sum = 0;
    for (const step of this.#steps.values()) sum += step;
    return sum;
  }

  #updateTerminal(progress: GenerateProgress): void {
    const now = performance.now();
    const changed = progress.phase !== this.#phase;
    if (!changed && now - this.#redrawnAt < REDRAW_MILLISECONDS) return;
    this.#redrawnAt = now;
    this.#phase = progress.phase;
    this.#redraw();
    if (this.#options.preview && progress.picture === 0) void this.#showPreview(progress);
  }

  async #showPreview({ preview }: GenerateProgress): Promise<void> {
    const picture = await preview().catch(() => undefined); // a preview that fails is not worth a word
    if (picture === undefined || this.#lines === 0) return;
    this.#picture = picture;
    this.#redraw();
  }

  #redraw(): void {
    const blocks = this.#picture ? halfBlocks(this.#picture, Math.min(process.stderr.columns ?? 80, 64)) : [];
    const lines = [...blocks, this.#bar()];
    this.#erase();
    process.stderr.write(lines.join("\n"));
    this.#lines = lines.length;
  }

  #erase(): void {
    if (!this.#terminal || this.#lines === 0) return;
    const up = this.#lines > 1 ? `\u001b[${this.#lines - 1}A` : "";
    process.stderr.write(`\r${up}\u001b[J`);
    this.#lines = 0;
  }

  #bar(): string {
    const done = this.#done;
    const filled = this.#total === 0 ? 0 : Math.round((done / this.#total) * BAR_WIDTH);
    const bar = "█".repeat(filled) + "░".repeat(BAR_WIDTH - filled);
    return `${this.#phase.padEnd(9)} ${bar} ${done}/${this.#total}${this.#rate(done)}`;
  }

  #rate(done: number): string {
    const seconds = this.secondsPerStep;
    if (seconds === undefined) return "";
    return `  ${seconds.toFixed(2)} s/step  ${clock(seconds * (this.#total - done))} left`;
  }

  #updatePlain(phase: string, done: number): void {
    if (phase !== "denoising" || this.#total === 0) return;
    const part = Math.floor((done / this.#total) * PLAIN_LINES);
    if (part <= this.#toldPart) return;
    this.#toldPart = part;
    process.stderr.write(`Step ${done} of ${this.#total}${this.#rate(done)}\n`);
  }
}

function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
