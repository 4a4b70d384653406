import { LiveWire } from "../livewire";
import { simplify } from "../ops/contours";
import { growRect } from "../rect";
import type { Modifiers, Overlay, Point, PointerSample, Tool } from "../types";
import { clampPoint, DRAG, distance, finishOutline, HIT } from "./common";
import type { ToolContext } from "./context";

/** Cells around an anchor through which the wire may lead. */
const REACH = 224;
/** Zoomed out further than that, the wire is straight beyond its window. */
const MAX_STEP = 4;
/** Image pixels that the finished outline may be off the wire. */
const TOLERANCE = 0.5;

interface Anchor {
  readonly point: Point;
  /** x, y, … from the anchor before; its own point is the last. */
  readonly way: readonly number[];
}

/**
 * Clicks set anchors; between them the outline follows the edges of the picture. Enter, a click on
 * the first anchor or a double-click close it; Backspace takes the last anchor back. Shift draws a
 * straight line. Begun with Alt it cuts a hole.
 */
class LiveWireTool implements Tool {
  readonly name = "livewire";
  readonly cursor = "crosshair";
  private anchors: Anchor[] = [];
  private wire: LiveWire | null = null;
  private hover: Point | null = null;
  private straight = false;
  private subtract = false;

  constructor(private readonly context: ToolContext) {}

  pointerDown(samples: readonly PointerSample[], modifiers: Modifiers): void {
    const sample = samples[0];
    if (!sample) return;
    this.straight = modifiers.shift;
    const { doc, scale } = this.context;
    const point = clampPoint(doc.size, sample);
    const first = this.anchors[0]?.point;
    const last = this.anchors.at(-1)?.point;
    const closes = first && this.anchors.length > 1 && distance(first, point) * scale <= HIT;
    if (closes || (last && distance(last, point) * scale < DRAG)) {
      if (this.anchors.length > 1) this.close();
      return;
    }
    if (!first) this.subtract = modifiers.alt;
    this.anchors.push({ point, way: this.way(point) });
    this.aim(point);
  }

  pointerMove(samples: readonly PointerSample[], modifiers: Modifiers): void {
    const sample = samples.at(-1);
    this.straight = modifiers.shift;
    if (sample) this.hover = clampPoint(this.context.doc.size, sample);
  }

  pointerUp(): void {}

  key(key: string): boolean {
    if (this.anchors.length === 0) return false;
    if (key === "Enter") this.close();
    else if (key === "Backspace") {
      this.anchors.pop();
      const last = this.anchors.at(-1);
      if (last) this.aim(last.point);
      else this.cancel();
    } else return false;
    return true;
  }

  cancel(): boolean {
    const any = this.anchors.length > 0;
    this.anchors = [];
    this.wire = null;
    return any;
  }

  overlays(): readonly Overlay[] {
    const first = this.anchors[0];
    if (!first) return [];
    const points = this.outline();
    if (this.hover) points.push(...this.way(this.hover));
    return [
      { kind: "path", points, closed: false, style: this.subtract ? "cut" : "draft" },
      ...this.anchors.map(
        ({ point: { x, y } }, i): Overlay => ({
          kind: "handle",
          x,
          y,
          style: i === 0 ? "active" : "vertex",
        }),
      ),
    ];
  }

  private outline(): number[] {
    return this.anchors.flatMap(({ way }) => way);
  }

  /** From the last anchor, without it, to the point. */
  private way(to: Point): number[] {
    if (!this.wire || this.straight) return [to.x, to.y];
    return this.wire.path(to).slice(2);
  }

  /** Keeps the draft where nothing came of it, so that it can be mended. */
  private close(): void {
    this.straight = false;
    const back = this.way(this.anchors[0]!.point).slice(0, -2);
    const ring = simplify([...this.outline(), ...back], TOLERANCE);
    if (finishOutline(this.context, ring, "livewire", this.subtract)) this.cancel();
  }

  /** Makes the wire hang on that anchor. */
  private aim(anchor: Point): void {
    const { doc, scale, pixels, notify } = this.context;
    const step = Math.min(MAX_STEP, Math.max(1, Math.round(1 / scale)));
    const around = { x: Math.floor(anchor.x), y: Math.floor(anchor.y), width: 1, height: 1 };
    const window = growRect(around, REACH * step, doc.size);
    const rgba = pixels(window);
    this.wire = rgba && new LiveWire(rgba, window, step, anchor);
    if (!rgba) notify("The image is still loading: lines are straight until it is there.");
  }
}

export function createLiveWire(context: ToolContext): Tool {
  return new LiveWireTool(context);
}
