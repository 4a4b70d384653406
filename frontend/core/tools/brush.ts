import type { Gesture, Locks } from "../gesture";
import { nibRadius, Spans, stroke } from "../spans";
import type { Modifiers, Overlay, PointerSample, Tool } from "../types";
import { eraseTarget, nibOf, nibOverlay, paintTarget } from "./common";
import type { ToolContext } from "./context";

const MAX_RADIUS = 500;

/** Brush and eraser; with Alt the brush erases. Shift draws a straight line from the end of the last stroke. */
class BrushTool implements Tool {
  readonly cursor = "none";
  private gesture: Gesture | null = null;
  private erasing = false;
  private target: string | null = null;
  private locks: Locks | null = null;
  private last: PointerSample | null = null;
  private hover: PointerSample | null = null;
  private selection: readonly string[] = [];

  constructor(
    readonly name: "brush" | "eraser",
    private readonly context: ToolContext,
  ) {}

  pointerDown(samples: readonly PointerSample[], modifiers: Modifiers): void {
    this.cancel();
    const { doc, view } = this.context;
    const first = samples[0];
    if (!first) return;
    const erasing = this.name === "eraser" || modifiers.alt;
    this.erasing = erasing;
    let target: string | null = null;
    this.selection = view.state.selection;
    if (erasing && !doc.exclusive) {
      target = eraseTarget(this.context, first)?.uuid ?? null;
      if (target === null) return;
    }
    const gesture = doc.begin(erasing ? "Erase" : "Brush stroke");
    if (!erasing) {
      target = paintTarget(this.context, gesture, "brush")?.uuid ?? null;
      if (target === null) {
        gesture.cancel();
        return;
      }
    }
    this.gesture = gesture;
    this.target = target;
    this.locks = erasing ? view.mayErase(doc) : view.mayPaint(doc);
    const line = modifiers.shift && this.last ? [this.last, ...samples] : samples;
    this.last = null;
    this.draw(line);
  }

  pointerMove(samples: readonly PointerSample[]): void {
    this.hover = samples.at(-1) ?? this.hover;
    if (this.gesture) this.draw(samples);
  }

  pointerUp(samples: readonly PointerSample[]): void {
    if (!this.gesture) return;
    // A pen lifts with pressure 0: its last point is drawn as thick as the one before.
    this.draw(samples.map((one) => ({ ...one, pressure: this.last?.pressure ?? one.pressure })));
    const gesture = this.gesture;
    this.gesture = null;
    if (!gesture.commit()) this.context.view.select(...this.selection);
  }

  key(key: string): boolean {
    if (key !== "[" && key !== "]") return false;
    const { view } = this.context;
    const radius = view.state.brushRadius;
    const step = Math.max(1, Math.round(radius * 0.15));
    const next = key === "]" ? radius + step : radius - step;
    view.set({ brushRadius: Math.min(MAX_RADIUS, Math.max(0.5, next)) });
    return true;
  }

  cancel(): boolean {
    if (!this.gesture) return false;
    this.gesture.cancel();
    this.gesture = null;
    this.context.view.select(...this.selection);
    return true;
  }

  overlays(): readonly Overlay[] {
    const style = this.gesture && this.erasing ? "eraser" : this.name;
    const overlays = nibOverlay(this.context, this.hover, style);
    if (!this.gesture || !this.hover) return overlays;
    const radius = nibRadius(nibOf(this.context), this.hover);
    return overlays.map((one) => ({ ...one, radius }) as Overlay);
  }

  private draw(samples: readonly PointerSample[]): void {
    const spans = new Spans(this.context.doc.size);
    stroke(spans, nibOf(this.context), samples, this.last);
    this.last = samples.at(-1) ?? this.last;
    this.hover = this.last;
    if (!this.gesture || spans.length === 0) return;
    if (!this.erasing) this.gesture.paint(this.target!, spans, this.locks!);
    else this.gesture.erase(this.target, spans, this.locks!);
  }
}

export function createBrush(context: ToolContext): Tool {
  return new BrushTool("brush", context);
}

export function createEraser(context: ToolContext): Tool {
  return new BrushTool("eraser", context);
}
