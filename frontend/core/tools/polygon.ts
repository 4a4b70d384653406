import type { Modifiers, Overlay, Point, PointerSample, Tool } from "../types";
import { clampPoint, DRAG, distance, finishOutline, HIT, snap } from "./common";
import type { ToolContext } from "./context";

/**
 * Clicks set vertices, dragging draws freehand. Enter, a click on the first vertex or a double-click
 * close the outline; Backspace takes the last vertex back. Begun with Alt it cuts a hole.
 */
class PolygonTool implements Tool {
  readonly name = "polygon";
  readonly cursor = "crosshair";
  private points: Point[] = [];
  private hover: Point | null = null;
  private pressed = false;
  /** How many vertices there were at the press. */
  private pressedAt = 0;
  private subtract = false;

  constructor(private readonly context: ToolContext) {}

  pointerDown(samples: readonly PointerSample[], modifiers: Modifiers): void {
    const sample = samples[0];
    if (!sample) return;
    const { scale } = this.context;
    const first = this.points[0];
    const last = this.points.at(-1);
    if (first && this.points.length > 2 && distance(first, sample) * scale <= HIT) {
      this.close();
      return;
    }
    if (last && distance(last, sample) * scale < DRAG) {
      if (this.points.length > 2) this.close();
      return;
    }
    if (!first) this.subtract = modifiers.alt;
    this.pressedAt = this.points.length;
    this.points.push(this.place(sample));
    this.pressed = true;
  }

  pointerMove(samples: readonly PointerSample[]): void {
    const sample = samples.at(-1);
    if (!sample) return;
    this.hover = this.place(sample);
    if (!this.pressed) return;
    for (const one of samples) {
      const point = clampPoint(this.context.doc.size, one);
      if (distance(this.points.at(-1)!, point) * this.context.scale >= HIT) this.points.push(point);
    }
  }

  pointerUp(samples: readonly PointerSample[]): void {
    const [first, end] = [this.points[0], samples.at(-1)];
    const freehand = this.pressed && this.points.length - this.pressedAt > 2;
    this.pressed = false;
    if (freehand && first && end && distance(first, end) * this.context.scale <= HIT) this.close();
  }

  key(key: string): boolean {
    if (this.points.length === 0) return false;
    if (key === "Enter") this.close();
    else if (key === "Backspace") this.points.pop();
    else return false;
    return true;
  }

  cancel(): boolean {
    const any = this.points.length > 0;
    this.points = [];
    this.pressed = false;
    return any;
  }

  overlays(): readonly Overlay[] {
    if (this.points.length === 0) return [];
    const drawn = this.hover && !this.pressed ? [...this.points, this.hover] : this.points;
    return [
      {
        kind: "path",
        points: drawn.flatMap(({ x, y }) => [x, y]),
        closed: false,
        style: this.subtract ? "cut" : "draft",
      },
      ...this.points.map(
        ({ x, y }, i): Overlay => ({ kind: "handle", x, y, style: i === 0 ? "active" : "vertex" }),
      ),
    ];
  }

  /** Keeps the draft where nothing came of it, so that it can be mended. */
  private close(): void {
    const ring = this.points.flatMap(({ x, y }) => [x, y]);
    if (finishOutline(this.context, ring, "polygon", this.subtract)) this.cancel();
    this.pressed = false;
  }

  private place(sample: PointerSample): Point {
    return snap(this.context, clampPoint(this.context.doc.size, sample));
  }
}

export function createPolygon(context: ToolContext): Tool {
  return new PolygonTool(context);
}
