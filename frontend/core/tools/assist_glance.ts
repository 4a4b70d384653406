import type { Candidate, Point } from "../types";
import { distance, inImage } from "./common";
import type { ToolContext } from "./context";

/** Milliseconds that the pointer rests before the engine is asked. */
const REST = 120;
/** Screen pixels that the pointer may move and still mean the same place. */
const SAME = 3;

/**
 * The mask that a click would give, shown while the pointer rests. One question at a time, so that
 * it never holds a click up; an answer that comes after the pointer moved on is dropped.
 */
export class Glance {
  /** The best candidate for where the pointer rests. */
  shown: Candidate | null = null;
  private place: Point | null = null;
  private candidates: readonly Candidate[] = [];
  private asking = false;
  private prevent: (() => void) | null = null;

  constructor(private readonly context: ToolContext) {}

  /** The pointer is there. */
  at(point: Point): void {
    const { doc, scale, view } = this.context;
    if (this.place && distance(this.place, point) * scale <= SAME) return;
    this.stop();
    if (!view.state.assistPreview || !inImage(doc.size, point)) return;
    this.place = point;
    this.prevent = this.context.later(REST, () => void this.ask());
  }

  /** The candidates for a click there, where they are known already. */
  known({ x, y }: Point): readonly Candidate[] | null {
    const { place, candidates } = this;
    const same = place && distance(place, { x, y }) * this.context.scale <= SAME;
    return same && candidates.length > 0 ? candidates : null;
  }

  stop(): void {
    this.prevent?.();
    this.prevent = null;
    this.place = null;
    this.shown = null;
    this.candidates = [];
  }

  private async ask(): Promise<void> {
    const { place } = this;
    if (!place || this.asking) return;
    const points = [{ x: place.x, y: place.y, positive: true }];
    const reply = this.context.glance({ points, box: null, mask: null });
    if (!reply) return;
    this.asking = true;
    // A preview that fails is none; the click says why.
    const found = await reply.catch(() => []);
    this.asking = false;
    if (place !== this.place) return this.ask();
    this.candidates = found;
    this.shown = found[0] ?? null;
    this.context.changed();
  }
}
