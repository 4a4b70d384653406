import { Mask } from "../mask";
import type {
  Candidate,
  Modifiers,
  Overlay,
  Point,
  PointerSample,
  Prompts,
  Rect,
  Tool,
} from "../types";
import { Glance } from "./assist_glance";
import { clampPoint, DRAG, distance, inImage, paintOnce } from "./common";
import type { ToolContext } from "./context";

/**
 * So many milliseconds a click's mark waits for its mask: both are drawn in one frame then, and the
 * decoder has the processor to itself meanwhile.
 */
const TOGETHER = 100;

type PromptPoint = Prompts["points"][number];

/**
 * Clicks and a box are sent to the prompt engine, its masks are shown, Enter takes one. Alt makes a
 * negative click, dragging a box; Tab or a number chooses among the masks, Backspace takes the last
 * prompt back. Before the first click the mask under the resting pointer is shown.
 */
class AssistTool implements Tool {
  readonly name = "assist";
  readonly cursor = "crosshair";
  private points: PromptPoint[] = [];
  private box: Rect | null = null;
  private candidates: readonly Candidate[] = [];
  private chosen = 0;
  private start: Point | null = null;
  private end: Point | null = null;
  /** Of the last question; answers to older ones are dropped. */
  private question = 0;
  private waiting = false;
  /** There while the mark of the last point waits for its mask; stops the waiting. */
  private hidden: (() => void) | null = null;
  private readonly glance: Glance;

  constructor(private readonly context: ToolContext) {
    this.glance = new Glance(context);
  }

  pointerDown(samples: readonly PointerSample[]): void {
    this.start = samples[0] ?? null;
    this.end = this.start;
  }

  pointerMove(samples: readonly PointerSample[]): void {
    const at = samples.at(-1);
    if (this.start) this.end = at ?? this.end;
    else if (at && !this.hasPrompts()) this.glance.at(at);
  }

  pointerUp(samples: readonly PointerSample[], modifiers: Modifiers): void {
    this.pointerMove(samples);
    const { start } = this;
    const box = this.dragged();
    this.start = null;
    this.end = null;
    if (!start) return;
    const known = box || modifiers.alt || this.hasPrompts() ? null : this.glance.known(start);
    this.glance.stop();
    if (box) this.box = box;
    else if (inImage(this.context.doc.size, start)) {
      this.points = [...this.points, { x: start.x, y: start.y, positive: !modifiers.alt }];
    } else return;
    if (known) this.answered(++this.question, known, null);
    else {
      this.ask();
      if (!box) this.hideLast();
    }
  }

  key(key: string): boolean {
    if (key === "Enter" && this.candidates.length > 0) this.accept();
    else if (key === "Tab" && this.candidates.length > 1) {
      this.chosen = (this.chosen + 1) % this.candidates.length;
    } else if (/^[1-9]$/.test(key) && this.candidates.length > 1) {
      this.chosen = Math.min(Number(key), this.candidates.length) - 1;
    } else if (key === "Backspace" && this.hasPrompts()) {
      if (this.points.length > 0) this.points = this.points.slice(0, -1);
      else this.box = null;
      this.candidates = [];
      this.ask();
    } else return false;
    return true;
  }

  cancel(): boolean {
    const any = this.hasPrompts() || this.start !== null;
    this.points = [];
    this.box = null;
    this.candidates = [];
    this.chosen = 0;
    this.start = null;
    this.end = null;
    this.waiting = false;
    this.question++;
    this.showLast();
    this.glance.stop();
    return any;
  }

  overlays(): readonly Overlay[] {
    const overlays: Overlay[] = [];
    const candidate = this.candidates[this.chosen];
    if (candidate) overlays.push({ kind: "mask", ...candidate.mask, style: "preview" });
    else if (this.glance.shown && !this.hasPrompts()) {
      overlays.push({ kind: "mask", ...this.glance.shown.mask, style: "hover" });
    }
    const box = this.dragged() ?? this.box;
    if (box) overlays.push({ kind: "box", ...box, style: "draft" });
    const shown = this.hidden ? this.points.slice(0, -1) : this.points;
    for (const { x, y, positive } of shown) {
      overlays.push({ kind: "handle", x, y, style: positive ? "positive" : "negative" });
    }
    return overlays;
  }

  says(): string {
    const candidate = this.candidates[this.chosen];
    if (!candidate) return "";
    const score = `${Math.round(candidate.score * 100)} %`;
    if (this.candidates.length === 1) return `One mask, ${score}. Enter takes it.`;
    const place = `Mask ${this.chosen + 1} of ${this.candidates.length}, ${score}`;
    return `${place}. Tab shows the next, Enter takes it.`;
  }

  /** Whether an answer is awaited. */
  get busy(): boolean {
    return this.waiting;
  }

  private hasPrompts(): boolean {
    return this.points.length > 0 || this.box !== null;
  }

  private dragged(): Rect | null {
    const { start, end, context } = this;
    if (!start || !end || distance(start, end) * context.scale < DRAG) return null;
    const [a, b] = [clampPoint(context.doc.size, start), clampPoint(context.doc.size, end)];
    const box = {
      x: Math.min(a.x, b.x),
      y: Math.min(a.y, b.y),
      width: Math.abs(a.x - b.x),
      height: Math.abs(a.y - b.y),
    };
    return box.width >= 1 && box.height >= 1 ? box : null;
  }

  private ask(): void {
    this.showLast();
    const question = ++this.question;
    this.waiting = this.hasPrompts();
    if (!this.waiting) {
      this.candidates = [];
      return;
    }
    const mask = this.candidates[this.chosen]?.mask ?? null;
    this.context.segment({ points: this.points, box: this.box, mask }).then(
      (candidates) => this.answered(question, candidates, null),
      (error: unknown) => this.answered(question, [], error),
    );
  }

  private hideLast(): void {
    this.hidden = this.context.later(TOGETHER, () => {
      this.hidden = null;
      this.context.changed();
    });
  }

  private showLast(): void {
    this.hidden?.();
    this.hidden = null;
  }

  private answered(question: number, candidates: readonly Candidate[], error: unknown): void {
    if (question !== this.question) return;
    this.showLast();
    this.waiting = false;
    this.candidates = candidates;
    this.chosen = 0;
    if (error) {
      this.context.notify(error instanceof Error ? error.message : "The model did not answer.");
    } else if (candidates.length === 0) {
      this.context.notify("The model found nothing there.");
    }
    this.context.changed();
  }

  private accept(): void {
    const candidate = this.candidates[this.chosen];
    if (!candidate) return;
    const [height, width] = candidate.mask.size;
    const { size } = this.context.doc;
    if (width !== size.width || height !== size.height) {
      this.context.notify("The model answered for an image of another size.");
      return;
    }
    const mask = Mask.fromCounts(size, candidate.mask.counts);
    if (paintOnce(this.context, "Accept mask", sourceOf(candidate), mask, { fresh: true }))
      this.cancel();
    else this.context.notify("Nothing was painted: those pixels are locked or taken already.");
  }
}

/** As long as the server keeps it. */
const MAX_SOURCE = 40;

/** The history says which model a mask is from. */
function sourceOf({ by }: Candidate): string {
  return by ? `assist: ${by}`.slice(0, MAX_SOURCE) : "assist";
}

export function createAssist(context: ToolContext): Tool {
  return new AssistTool(context);
}
