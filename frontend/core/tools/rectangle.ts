import type { Modifiers, Overlay, Point, PointerSample, Rect, Tool } from "../types";
import { clampPoint, DRAG, finishOutline } from "./common";
import type { ToolContext } from "./context";

/** Drags a rectangle; Shift makes it a square, Alt cuts it out. */
class RectangleTool implements Tool {
  readonly name = "rectangle";
  readonly cursor = "crosshair";
  private start: Point | null = null;
  private end: Point | null = null;
  private subtract = false;

  constructor(private readonly context: ToolContext) {}

  pointerDown(samples: readonly PointerSample[], modifiers: Modifiers): void {
    const first = samples[0];
    if (!first) return;
    this.start = clampPoint(this.context.doc.size, first);
    this.end = this.start;
    this.subtract = modifiers.alt;
  }

  pointerMove(samples: readonly PointerSample[], modifiers: Modifiers): void {
    const last = samples.at(-1);
    if (!this.start || !last) return;
    let { x, y } = last;
    if (modifiers.shift) {
      const side = Math.max(Math.abs(x - this.start.x), Math.abs(y - this.start.y));
      x = this.start.x + Math.sign(x - this.start.x) * side;
      y = this.start.y + Math.sign(y - this.start.y) * side;
    }
    this.end = clampPoint(this.context.doc.size, { x, y });
  }

  pointerUp(samples: readonly PointerSample[], modifiers: Modifiers): void {
    this.pointerMove(samples, modifiers);
    const box = this.box();
    this.cancel();
    if (!box || Math.max(box.width, box.height) * this.context.scale < DRAG) return;
    const [right, bottom] = [box.x + box.width, box.y + box.height];
    const ring = [box.x, box.y, right, box.y, right, bottom, box.x, bottom];
    finishOutline(this.context, ring, "rectangle", this.subtract);
  }

  key(): boolean {
    return false;
  }

  cancel(): boolean {
    const any = this.start !== null;
    this.start = null;
    this.end = null;
    return any;
  }

  overlays(): readonly Overlay[] {
    const box = this.box();
    return box ? [{ kind: "box", ...box, style: "draft" }] : [];
  }

  private box(): Rect | null {
    if (!this.start || !this.end) return null;
    return {
      x: Math.min(this.start.x, this.end.x),
      y: Math.min(this.start.y, this.end.y),
      width: Math.abs(this.end.x - this.start.x),
      height: Math.abs(this.end.y - this.start.y),
    };
  }
}

export function createRectangle(context: ToolContext): Tool {
  return new RectangleTool(context);
}
