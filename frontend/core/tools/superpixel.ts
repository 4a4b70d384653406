import type { Gesture, Locks } from "../gesture";
import type { Mask } from "../mask";
import { maskToPolygons } from "../ops/contours";
import { growRect } from "../rect";
import { patchAt, patchMask, type Superpixels } from "../superpixels";
import type { Modifiers, Overlay, Point, PointerSample, Tool } from "../types";
import { eraseTarget, inImage, paintTarget } from "./common";
import type { ToolContext } from "./context";

/** Image pixels around the pointer that are cut into patches. */
const REACH = 320;
/** A patch this near to the border of the window may be cut off: the window moves before. */
const MARGIN = 2;
const STEP = 2;

/**
 * Paints whole patches of similar colour: a click one, dragging all that the pointer passes. With
 * Alt it erases them. `+` and `-` make the patches larger and smaller.
 */
class SuperpixelTool implements Tool {
  readonly name = "superpixel";
  readonly cursor = "crosshair";
  private patches: Superpixels | null = null;
  private spacing = 0;
  /** Of the last request; answers to older ones are dropped. */
  private request = 0;
  private waiting = false;
  private gesture: Gesture | null = null;
  private target: string | null = null;
  private erase = false;
  private locks: Locks | null = null;
  private selection: readonly string[] = [];
  /** What the pointer passed while there were no patches yet. */
  private queue: Point[] = [];
  private last: Point | null = null;
  private released = false;
  private hover: Point | null = null;
  private outline: {
    readonly patch: number;
    readonly rings: readonly (readonly number[])[];
  } | null = null;

  constructor(private readonly context: ToolContext) {}

  pointerDown(samples: readonly PointerSample[], modifiers: Modifiers): void {
    this.cancel();
    const first = samples[0];
    const { doc, view } = this.context;
    if (!first || !inImage(doc.size, first)) return;
    this.erase = modifiers.alt;
    this.selection = view.state.selection;
    const gesture = doc.begin(this.erase ? "Erase superpixels" : "Paint superpixels");
    const target = this.erase
      ? doc.exclusive || eraseTarget(this.context, first)
      : paintTarget(this.context, gesture, "superpixel");
    if (!target) {
      gesture.cancel();
      return;
    }
    this.gesture = gesture;
    this.target = target === true ? null : target.uuid;
    this.locks = this.erase ? view.mayErase(doc) : view.mayPaint(doc);
    this.last = null;
    this.released = false;
    this.pass(samples);
  }

  pointerMove(samples: readonly PointerSample[]): void {
    this.hover = samples.at(-1) ?? this.hover;
    if (this.gesture && !this.released) this.pass(samples);
    else if (this.hover) this.look(this.hover);
  }

  pointerUp(samples: readonly PointerSample[]): void {
    if (!this.gesture || this.released) return;
    this.pass(samples);
    this.released = true;
    if (this.queue.length === 0) this.finish();
  }

  key(key: string): boolean {
    if (key !== "+" && key !== "-") return false;
    const { view } = this.context;
    const { superpixelSize } = view.state;
    const next = superpixelSize * (key === "+" ? 1.25 : 0.8);
    view.set({ superpixelSize: Math.round(Math.min(Math.max(next, 4), 128)) });
    if (this.hover) this.look(this.hover);
    return true;
  }

  cancel(): boolean {
    this.queue = [];
    if (!this.gesture) return false;
    this.gesture.cancel();
    this.gesture = null;
    this.context.view.select(...this.selection);
    return true;
  }

  overlays(): readonly Overlay[] {
    const { hover, patches } = this;
    const patch = hover && patches && patchAt(patches, hover);
    if (patch === null || !hover || !patches) return [];
    if (this.outline?.patch !== patch) {
      const { polygons } = maskToPolygons(patchMask(patches, this.context.doc.size, hover), 0);
      this.outline = { patch, rings: polygons.flat() };
    }
    const style = this.erase && this.gesture ? "cut" : "draft";
    return this.outline.rings.map((points) => ({ kind: "path", points, closed: true, style }));
  }

  /** The pointer went through these points; every patch on its way is painted. */
  private pass(samples: readonly PointerSample[]): void {
    for (const sample of samples) {
      const from = this.last ?? sample;
      const steps = Math.ceil(Math.hypot(sample.x - from.x, sample.y - from.y) / STEP);
      for (let i = 1; i <= Math.max(1, steps); i++) {
        const t = i / Math.max(1, steps);
        const x = from.x + (sample.x - from.x) * t;
        const y = from.y + (sample.y - from.y) * t;
        if (inImage(this.context.doc.size, { x, y })) this.queue.push({ x, y });
      }
      this.last = sample;
    }
    this.hover = this.last ?? this.hover;
    this.work();
  }

  /** Paints what is queued; where patches are missing, asks for them and goes on with the answer. */
  private work(): void {
    const { doc } = this.context;
    const painted = new Set<number>();
    let current: Superpixels | null = null;
    while (this.gesture && this.queue.length > 0) {
      const point = this.queue[0]!;
      if (!this.look(point) || !this.patches) return;
      if (this.patches !== current) painted.clear();
      current = this.patches;
      this.queue.shift();
      const patch = patchAt(current, point);
      if (patch === null || painted.has(patch)) continue;
      painted.add(patch);
      this.fill(patchMask(current, doc.size, point));
    }
    if (this.released && this.gesture) this.finish();
  }

  private fill(mask: Mask): void {
    if (this.erase) this.gesture!.erase(this.target, mask, this.locks!);
    else this.gesture!.paint(this.target!, mask, this.locks!);
  }

  private finish(): void {
    const { gesture } = this;
    this.gesture = null;
    if (gesture && !gesture.commit()) this.context.view.select(...this.selection);
  }

  /** True when there are patches around the point; asks for them where there are none. */
  private look(point: Point): boolean {
    const { doc, view } = this.context;
    const { superpixelSize } = view.state;
    if (!inImage(doc.size, point)) return false;
    if (this.patches && this.spacing === superpixelSize && this.around(this.patches, point)) {
      return true;
    }
    if (this.waiting && this.spacing === superpixelSize) return false;
    const request = ++this.request;
    this.waiting = true;
    this.spacing = superpixelSize;
    const around = { x: Math.floor(point.x), y: Math.floor(point.y), width: 1, height: 1 };
    const window = growRect(around, REACH + MARGIN * superpixelSize, doc.size);
    this.context.superpixels(window, superpixelSize).then(
      (found) => this.answered(request, found, null),
      (error: unknown) => this.answered(request, null, error),
    );
    return false;
  }

  /** Whether the patch at the point is certainly whole. */
  private around({ window }: Superpixels, { x, y }: Point): boolean {
    const { width, height } = this.context.doc.size;
    const margin = MARGIN * this.spacing;
    const [right, bottom] = [window.x + window.width, window.y + window.height];
    return (
      (window.x === 0 || x >= window.x + margin) &&
      (window.y === 0 || y >= window.y + margin) &&
      (right === width || x < right - margin) &&
      (bottom === height || y < bottom - margin) &&
      x < right &&
      y < bottom
    );
  }

  private answered(request: number, found: Superpixels | null, error: unknown): void {
    if (request !== this.request) return;
    this.waiting = false;
    this.outline = null;
    this.patches = found ?? this.patches;
    if (found) this.work();
    else {
      this.spacing = 0;
      this.cancel();
      this.context.notify(error instanceof Error ? error.message : "The image is still loading.");
    }
    this.context.changed();
  }
}

export function createSuperpixel(context: ToolContext): Tool {
  return new SuperpixelTool(context);
}
