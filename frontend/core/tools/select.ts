import type { Gesture } from "../gesture";
import {
  nearestEdge,
  nearestMidpoint,
  nearestVertex,
  polygonsOf,
  regionsAt,
  regionsInside,
  type VertexHit,
  type VertexRef,
} from "../hittest";
import type { Mask } from "../mask";
import {
  dropVertices,
  edgeAt,
  edgesBetween,
  insertVertex,
  joinVertices,
  movePolygons,
  moveVertex,
  verticesAt,
} from "../ops/vertices";
import { unionRect } from "../rect";
import type {
  Modifiers,
  Overlay,
  Point,
  PointerSample,
  Polygon,
  Rect,
  Region,
  Tool,
} from "../types";
import { clampPoint, DRAG, distance, HIT, shareVertices, snap } from "./common";
import type { ToolContext } from "./context";

/** Screen pixels within which an edge is hit. */
const EDGE = 4;

/** What of a polygon is under the pointer: a new vertex would come in the middle of an edge. */
interface Grip {
  readonly kind: "vertex" | "middle" | "edge";
  readonly hit: VertexHit;
}

type Drag =
  | {
      readonly kind: "vertices";
      readonly moved: ReadonlyMap<string, Moved>;
      readonly start: Point;
      /** Whether what is dragged is one place, which snaps to others. */
      readonly snaps: boolean;
    }
  | { readonly kind: "regions"; readonly start: Point; readonly moved: ReadonlyMap<string, Moved> }
  | { readonly kind: "box"; readonly start: Point; end: Point; readonly add: boolean };

/** A region as it was when the drag began, and which of its vertices are dragged. */
interface Moved {
  readonly polygons: readonly Polygon[];
  readonly mask: Mask | null;
  readonly bbox: Rect;
  readonly vertices: readonly VertexRef[];
}

/**
 * Selects, moves and deletes regions, and edits the selected polygons: dragging moves a vertex or an
 * edge, dragging the middle of an edge adds a vertex, Alt and a click or Delete takes a vertex away
 * and makes an edge a vertex. What neighbours share changes with it, unless Ctrl is held. A further
 * click on the same place selects what lies below.
 */
class SelectTool implements Tool {
  readonly name = "select";
  readonly cursor = "default";
  private pressed: Point | null = null;
  private hits: Region[] = [];
  private pressedSelected = false;
  private modifiers: Modifiers = { shift: false, alt: false, ctrl: false };
  private drag: Drag | null = null;
  private grabbed: Grip | null = null;
  private gesture: Gesture | null = null;
  private active: { readonly kind: "vertex" | "edge"; readonly ref: VertexRef } | null = null;
  private hover: Point | null = null;

  constructor(private readonly context: ToolContext) {}

  pointerDown(samples: readonly PointerSample[], modifiers: Modifiers): void {
    const at = samples[0];
    if (!at) return;
    this.cancelGesture();
    const { doc, view } = this.context;
    this.pressed = at;
    this.modifiers = modifiers;
    this.grabbed = this.handleAt(at);
    if (this.grabbed) {
      const { kind, hit } = this.grabbed;
      if (modifiers.alt && kind === "vertex") this.removeVertex(hit);
      else if (modifiers.alt) this.removeEdge(hit);
      return;
    }
    this.active = null;
    this.hits = regionsAt(doc, view, at);
    this.pressedSelected = this.hits.some(({ uuid }) => view.state.selection.includes(uuid));
    const first = this.hits[0];
    if (first && !this.pressedSelected && !modifiers.shift) view.select(first.uuid);
  }

  pointerMove(samples: readonly PointerSample[]): void {
    const at = samples.at(-1);
    if (!at) return;
    this.hover = at;
    if (!this.pressed) return;
    if (!this.drag) {
      if (distance(this.pressed, at) * this.context.scale < DRAG) return;
      this.drag = this.beginDrag(this.pressed);
    }
    if (this.drag) this.dragTo(this.drag, at);
  }

  pointerUp(samples: readonly PointerSample[]): void {
    this.pointerMove(samples);
    const { pressed, drag } = this;
    this.pressed = null;
    this.drag = null;
    if (!pressed) return;
    if (drag?.kind === "box") this.selectBox(drag);
    else if (drag) this.endDrag(drag);
    else if (this.grabbed) {
      const { kind, hit } = this.grabbed;
      this.active = { kind: kind === "vertex" ? "vertex" : "edge", ref: hit };
    } else this.click();
    this.grabbed = null;
  }

  key(key: string, modifiers: Modifiers): boolean {
    const { doc, view } = this.context;
    if (key === "Delete" || key === "Backspace") {
      this.modifiers = modifiers;
      const { active } = this;
      if (!active || !doc.region(active.ref.uuid)) return this.removeSelected();
      if (active.kind === "vertex") this.removeVertex(active.ref);
      else this.removeEdge(active.ref);
      return true;
    }
    const arrow = ARROWS[key];
    if (!arrow || modifiers.ctrl || doc.exclusive || view.state.selection.length === 0)
      return false;
    const reach = modifiers.shift ? 10 : 1;
    const moved = this.snapshot(view.state.selection);
    if (moved.size === 0) return false;
    this.gesture = doc.begin("Move");
    this.moveRegions(moved, arrow[0] * reach, arrow[1] * reach);
    this.commit();
    return true;
  }

  cancel(): boolean {
    if (this.cancelGesture()) return true;
    this.active = null;
    const any = this.context.view.state.selection.length > 0;
    if (any) this.context.view.select();
    return any;
  }

  overlays(): readonly Overlay[] {
    const overlays: Overlay[] = [];
    for (const region of this.editable()) {
      polygonsOf(region).forEach((rings, polygon) => {
        rings.forEach((points, ring) => {
          overlays.push({ kind: "path", points, closed: true, style: "edge" });
          for (let i = 0; i < points.length; i += 2) {
            const ref = { uuid: region.uuid, polygon, ring, index: i / 2 };
            const isActive = this.active?.kind === "vertex" && sameRef(ref, this.active.ref);
            const style = isActive ? "active" : "vertex";
            overlays.push({ kind: "handle", x: points[i]!, y: points[i + 1]!, style });
          }
        });
      });
    }
    if (this.hover && !this.drag) {
      const handle = this.handleAt(this.hover);
      if (handle) {
        const { kind, hit } = handle;
        const { x, y } = hit;
        if (kind === "edge") overlays.push(this.edgeOverlay(hit));
        else
          overlays.push({ kind: "handle", x, y, style: kind === "middle" ? "midpoint" : "active" });
      }
    }
    const { active } = this;
    const marked =
      active?.kind === "edge" && this.editable().some((r) => r.uuid === active.ref.uuid);
    if (marked && !this.drag) overlays.push(this.edgeOverlay(active.ref));
    if (this.drag?.kind === "box") {
      overlays.push({ kind: "box", ...boxOf(this.drag.start, this.drag.end), style: "selection" });
    }
    return overlays;
  }

  private editable(): Region[] {
    const { doc, view } = this.context;
    return view.state.selection
      .map((uuid) => doc.region(uuid))
      .filter((region) => region?.geometry.type === "polygons" && view.isVisible(region))
      .filter((region) => region !== null && !view.isLocked(region)) as Region[];
  }

  private edgeOverlay(ref: VertexRef): Overlay {
    const [a, b] = edgeAt(polygonsOf(this.context.doc.region(ref.uuid)!), ref);
    return { kind: "path", points: [a.x, a.y, b.x, b.y], closed: false, style: "draft" };
  }

  private handleAt(at: Point): Grip | null {
    const regions = this.editable();
    const { scale } = this.context;
    const vertex = nearestVertex(regions, at, HIT / scale);
    if (vertex) return { kind: "vertex", hit: vertex };
    const middle = nearestMidpoint(regions, at, HIT / scale);
    if (middle) return { kind: "middle", hit: middle };
    const edge = nearestEdge(regions, at, EDGE / scale);
    return edge && { kind: "edge", hit: edge };
  }

  /** A press that did not become a drag. */
  private click(): void {
    const { view } = this.context;
    const { selection } = view.state;
    const first = this.hits[0];
    if (!first) {
      if (!this.modifiers.shift) view.select();
    } else if (this.modifiers.shift) {
      view.toggle(first.uuid);
    } else if (this.pressedSelected) {
      const at = this.hits.findIndex(({ uuid }) => selection.includes(uuid));
      view.select(this.hits[(at + 1) % this.hits.length]!.uuid);
    }
  }

  private beginDrag(start: Point): Drag | null {
    const { doc, view, notify } = this.context;
    if (this.grabbed) {
      if (this.modifiers.alt) return null;
      return this.beginVertexDrag(this.grabbed, start);
    }
    if (this.hits.length === 0 || this.modifiers.shift) {
      return { kind: "box", start, end: start, add: this.modifiers.shift };
    }
    if (doc.exclusive) return null;
    const moved = this.snapshot(view.state.selection);
    if (moved.size === 0) {
      notify("That region is locked.");
      return null;
    }
    this.gesture = doc.begin("Move");
    return { kind: "regions", start, moved };
  }

  private beginVertexDrag({ kind, hit }: Grip, pressed: Point): Drag {
    const titles = { vertex: "Move vertex", middle: "Add vertex", edge: "Move edge" };
    this.gesture = this.context.doc.begin(titles[kind]);
    const edge = edgeAt(polygonsOf(this.context.doc.region(hit.uuid)!), hit);
    const moved = new Map<string, Moved>();
    for (const region of this.sharing(hit.uuid)) {
      const { uuid } = region;
      let polygons = polygonsOf(region);
      let places: readonly Point[] = kind === "edge" ? edge : [hit];
      if (kind === "middle") {
        const edges = edgesBetween(uuid, polygons, edge);
        // From the last one on, so that the places of the others stay.
        for (const ref of edges.reverse()) polygons = insertVertex(polygons, ref, hit);
        if (edges.length === 0) places = [];
      }
      const vertices = verticesAt(uuid, polygons, places);
      if (vertices.length > 0) moved.set(uuid, { ...before(region), polygons, vertices });
    }
    const index = kind === "middle" ? hit.index + 1 : hit.index;
    this.active = { kind: kind === "edge" ? "edge" : "vertex", ref: { ...hit, index } };
    const snaps = kind !== "edge";
    return { kind: "vertices", moved, start: snaps ? hit : pressed, snaps };
  }

  /** The regions whose vertices and edges change with those of this one. */
  private sharing(uuid: string): readonly Region[] {
    const { doc, view } = this.context;
    if (!view.state.sharedBorders || this.modifiers.ctrl) return [doc.region(uuid)!];
    return doc.regions.filter((region) => view.isVisible(region) && !view.isLocked(region));
  }

  private dragTo(drag: Drag, at: Point): void {
    if (drag.kind === "box") {
      drag.end = at;
      return;
    }
    if (drag.kind === "regions") {
      this.moveRegions(drag.moved, at.x - drag.start.x, at.y - drag.start.y);
      return;
    }
    const { size } = this.context.doc;
    const to = drag.snaps
      ? clampPoint(
          size,
          snap(this.context, at, ({ uuid }) => drag.moved.has(uuid)),
        )
      : at;
    const [dx, dy] = [to.x - drag.start.x, to.y - drag.start.y];
    for (const [uuid, { polygons, vertices }] of drag.moved) {
      const next = vertices.reduce<readonly Polygon[]>((now, ref) => {
        const [{ x, y }] = edgeAt(polygons, ref);
        return moveVertex(now, ref, clampPoint(size, { x: x + dx, y: y + dy }));
      }, polygons);
      this.gesture!.setPolygons(uuid, next);
    }
  }

  /** What came to lie on the border of a neighbour is shared with it, unless Ctrl parts them. */
  private endDrag(drag: Drag): void {
    if (drag.kind === "vertices" && drag.snaps && !this.modifiers.ctrl) {
      for (const uuid of drag.moved.keys()) shareVertices(this.context, this.gesture!, uuid);
    }
    this.commit();
  }

  /** Moves from where they were when the drag began; their boxes stay inside the image. */
  private moveRegions(moved: ReadonlyMap<string, Moved>, dx: number, dy: number): void {
    const { size } = this.context.doc;
    let all: Rect | null = null;
    for (const { bbox } of moved.values()) all = unionRect(all, bbox);
    if (!all) return;
    const x = Math.min(Math.max(Math.round(dx), -all.x), size.width - all.x - all.width);
    const y = Math.min(Math.max(Math.round(dy), -all.y), size.height - all.y - all.height);
    for (const [uuid, { polygons, mask }] of moved) {
      if (mask) this.gesture!.setMask(uuid, mask.shift(x, y));
      else this.gesture!.setPolygons(uuid, movePolygons(polygons, x, y));
    }
  }

  private snapshot(uuids: readonly string[]): Map<string, Moved> {
    const { doc, view } = this.context;
    const moved = new Map<string, Moved>();
    for (const uuid of uuids) {
      const region = doc.region(uuid);
      if (!region || view.isLocked(region)) continue;
      const mask = region.geometry.type === "mask" ? doc.mask(uuid) : null;
      moved.set(uuid, { ...before(region), mask });
    }
    return moved;
  }

  private selectBox(drag: Extract<Drag, { kind: "box" }>): void {
    const { doc, view } = this.context;
    const inside = regionsInside(doc, view, boxOf(drag.start, drag.end)).map(({ uuid }) => uuid);
    view.select(...(drag.add ? view.state.selection : []), ...inside);
  }

  private removeVertex(ref: VertexRef): void {
    const [place] = edgeAt(polygonsOf(this.context.doc.region(ref.uuid)!), ref);
    this.reshape("Delete vertex", ref, (polygons) => dropVertices(polygons, place));
  }

  /** Its two vertices become one, in its middle. */
  private removeEdge(ref: VertexRef): void {
    const [a, b] = edgeAt(polygonsOf(this.context.doc.region(ref.uuid)!), ref);
    const middle = { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
    this.reshape("Delete edge", ref, (polygons) => joinVertices(polygons, [a, b], middle));
  }

  /** Changes the polygons of a region and, where neighbours have the same vertices, theirs. */
  private reshape(
    title: string,
    { uuid }: VertexRef,
    change: (polygons: readonly Polygon[]) => readonly Polygon[],
  ): void {
    const { doc, notify } = this.context;
    this.active = null;
    this.pressed = null;
    const changed = this.sharing(uuid)
      .map((region) => ({ region, polygons: change(polygonsOf(region)) }))
      .filter(({ region, polygons }) => polygons !== polygonsOf(region));
    if (changed.some(({ polygons }) => polygons.length === 0)) {
      notify("A polygon needs three vertices. Delete the region instead.");
      return;
    }
    doc.edit(title, (gesture) => {
      for (const { region, polygons } of changed) gesture.setPolygons(region.uuid, polygons);
    });
  }

  private removeSelected(): boolean {
    const { doc, view, notify } = this.context;
    const regions = view.state.selection.map((uuid) => doc.region(uuid)).filter((r) => r !== null);
    const free = regions.filter((region) => !view.isLocked(region));
    if (free.length < regions.length) notify("Locked regions are not deleted.");
    if (free.length === 0) return regions.length > 0;
    doc.edit("Delete", (gesture) => {
      for (const { uuid } of free) gesture.remove(uuid);
    });
    view.select();
    return true;
  }

  private commit(): void {
    this.gesture?.commit();
    this.gesture = null;
  }

  private cancelGesture(): boolean {
    const any = this.gesture !== null || this.drag !== null;
    this.gesture?.cancel();
    this.gesture = null;
    this.drag = null;
    this.grabbed = null;
    this.pressed = null;
    return any;
  }
}

const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

function before(region: Region): Moved {
  return { polygons: polygonsOf(region), mask: null, bbox: region.bbox, vertices: [] };
}

function sameRef(a: VertexRef, b: VertexRef): boolean {
  return a.uuid === b.uuid && a.polygon === b.polygon && a.ring === b.ring && a.index === b.index;
}

function boxOf(a: Point, b: Point): Rect {
  return {
    x: Math.min(a.x, b.x),
    y: Math.min(a.y, b.y),
    width: Math.abs(a.x - b.x),
    height: Math.abs(a.y - b.y),
  };
}

export function createSelect(context: ToolContext): Tool {
  return new SelectTool(context);
}
