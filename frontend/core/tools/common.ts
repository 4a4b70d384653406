import type { Gesture } from "../gesture";
import { nearestEdge, nearestVertex } from "../hittest";
import type { Mask } from "../mask";
import { placesOf, withVertices } from "../ops/vertices";
import { rasterize } from "../rasterize";
import { intersects } from "../rect";
import type { Nib, Spans } from "../spans";
import type { Overlay, Point, Polygon, Rect, Region, Ring, Size } from "../types";
import type { ToolContext } from "./context";

/** Screen pixels within which a handle is hit, and from which a press is a drag. */
export const HIT = 8;
export const DRAG = 4;

export function distance(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

export function inImage({ width, height }: Size, { x, y }: Point): boolean {
  return x >= 0 && y >= 0 && x < width && y < height;
}

/** The nearest point on or inside the border of the image. */
export function clampPoint({ width, height }: Size, { x, y }: Point): Point {
  return { x: Math.min(Math.max(x, 0), width), y: Math.min(Math.max(y, 0), height) };
}

export function nibOf({ view }: ToolContext): Nib {
  const { brushShape, brushRadius, brushPressure } = view.state;
  return { shape: brushShape, radius: brushRadius, pressure: brushPressure };
}

/** The chosen category; says so where there is none. */
export function chosenCategory({ view, notify }: ToolContext): number | null {
  const { categoryId } = view.state;
  if (categoryId === null) notify("Choose a category first.");
  return categoryId;
}

/**
 * The region that painting goes into: the only one of its category, else the selected mask of the
 * category (unless `fresh`), else a new one, which is selected then. Null, and said so, where none
 * may be painted.
 */
export function paintTarget(
  context: ToolContext,
  gesture: Gesture,
  source: string,
  fresh = false,
): Region | null {
  const { doc, view } = context;
  const categoryId = chosenCategory(context);
  if (categoryId === null) return null;
  if (view.state.lockedCategories.has(categoryId)) {
    context.notify("That category is locked.");
    return null;
  }
  const only = doc.only(categoryId);
  if (only) return only;
  if (!fresh && !doc.isSingle(categoryId)) {
    for (const uuid of view.state.selection) {
      const region = doc.region(uuid);
      if (region?.geometry.type !== "mask" || region.categoryId !== categoryId) continue;
      if (!view.isLocked(region)) return region;
    }
  }
  const region = gesture.add({ categoryId, source });
  if (!doc.isSingle(categoryId)) view.select(region.uuid);
  return region;
}

/** One gesture that paints these pixels into the target, or with `erase` takes them away. */
export function paintOnce(
  context: ToolContext,
  title: string,
  source: string,
  pixels: Spans | Mask,
  { erase = false, fresh = false } = {},
): boolean {
  const { doc, view } = context;
  const selection = view.state.selection;
  const gesture = doc.begin(title);
  if (erase) {
    const target = doc.exclusive ? null : eraseTarget(context, null);
    if (doc.exclusive || target) {
      gesture.erase(target?.uuid ?? null, pixels, view.mayErase(doc));
    }
  } else {
    const target = paintTarget(context, gesture, source, fresh);
    if (target) gesture.paint(target.uuid, pixels, view.mayPaint(doc));
  }
  const any = gesture.commit();
  if (!any) view.select(...selection);
  return any;
}

/**
 * The region that is erased in an instance project: the selected mask, else the front-most mask
 * under the pointer. Null, and said so, where there is none.
 */
export function eraseTarget({ doc, view, notify }: ToolContext, at: Point | null): Region | null {
  const selected = view.state.selection.map((uuid) => doc.region(uuid));
  const under = at && doc.bySlot(doc.slotAt(at.x, at.y));
  const regions = [...selected, under].filter((region) => region !== null);
  const mask = regions.find((region) => region.geometry.type === "mask" && !view.isLocked(region));
  if (mask) return mask;
  if (regions.some((region) => view.isLocked(region))) notify("That region is locked.");
  else if (regions.length > 0)
    notify("Make it a mask first: polygons are changed by their vertices.");
  else notify("Select the mask to erase from.");
  return null;
}

/**
 * Ends a drawn outline. Exclusive projects fill it into the category (or erase it); instance ones
 * make a polygon region of it, or a hole in the selected polygon. True when something came of it.
 */
export function finishOutline(
  context: ToolContext,
  ring: Ring,
  source: string,
  subtract: boolean,
): boolean {
  const { doc, view, notify } = context;
  const polygon: Polygon = [ring];
  const filled = rasterize([polygon], doc.size);
  if (ring.length < 6 || filled.isEmpty) {
    notify("That outline has no pixels inside.");
    return false;
  }
  if (doc.exclusive) {
    return paintOnce(context, subtract ? "Cut out" : "Fill", source, filled, {
      erase: subtract,
      fresh: true,
    });
  }
  if (subtract) return cutHole(context, ring, filled);
  const categoryId = chosenCategory(context);
  if (categoryId === null) return false;
  const region = doc.edit("Draw polygon", (gesture) => {
    const made = gesture.add({ categoryId, polygons: [polygon], source });
    shareVertices(context, gesture, made.uuid);
    return made;
  });
  view.select(region.uuid);
  return true;
}

function cutHole({ doc, view, notify }: ToolContext, ring: Ring, filled: Mask): boolean {
  const selected = view.state.selection.map((uuid) => doc.region(uuid));
  const region = selected.find((one) => one !== null && !view.isLocked(one));
  if (!region) {
    notify("Select the region to cut the hole into.");
    return false;
  }
  const { geometry } = region;
  if (geometry.type === "mask") {
    return doc.edit("Cut hole", (gesture) => {
      gesture.erase(region.uuid, filled);
      return true;
    });
  }
  const at = geometry.polygons.findIndex(
    ([outside]) => filled.subtract(rasterize([[outside!]], doc.size)).isEmpty,
  );
  if (at < 0) {
    notify("A hole has to lie inside of the selected polygon.");
    return false;
  }
  const polygons = geometry.polygons.map((rings, i) => (i === at ? [...rings, ring] : rings));
  if (rasterize(polygons, doc.size).isEmpty) {
    notify("That hole would leave nothing of the polygon.");
    return false;
  }
  doc.edit("Cut hole", (gesture) => gesture.setPolygons(region.uuid, polygons));
  return true;
}

/**
 * Where the outlines of a region and of its neighbours run along each other, each gets the vertices
 * of the other, so that they move together from now on.
 */
export function shareVertices({ doc, view }: ToolContext, gesture: Gesture, uuid: string): void {
  if (!view.state.sharedBorders) return;
  const region = doc.region(uuid);
  if (region?.geometry.type !== "polygons") return;
  let mine: readonly Polygon[] = region.geometry.polygons;
  // The box of the region may still be that of the gesture's start.
  const near = boxAround(placesOf(mine));
  for (const other of doc.regions) {
    const { geometry } = other;
    if (other.uuid === uuid || geometry.type !== "polygons") continue;
    if (!intersects(other.bbox, near) || !view.isVisible(other) || view.isLocked(other)) continue;
    const theirs = withVertices(geometry.polygons, placesOf(mine));
    if (theirs !== geometry.polygons) gesture.setPolygons(other.uuid, theirs);
    mine = withVertices(mine, placesOf(geometry.polygons));
  }
  if (mine !== region.geometry.polygons) gesture.setPolygons(uuid, mine);
}

/** With a margin: vertices may lie just outside of the pixels that they enclose. */
function boxAround(places: readonly Point[]): Rect {
  const [xs, ys] = [places.map(({ x }) => x), places.map(({ y }) => y)];
  const [x, y] = [Math.min(...xs) - 2, Math.min(...ys) - 2];
  return { x, y, width: Math.max(...xs) + 2 - x, height: Math.max(...ys) + 2 - y };
}

/** The point, or the vertex, or else the edge, of a visible polygon that it snaps to. */
export function snap(
  { doc, view, scale }: ToolContext,
  point: Point,
  except: (region: Region) => boolean = () => false,
): Point {
  const reach = view.state.snapDistance / scale;
  if (reach <= 0) return point;
  const regions = doc.regions.filter((region) => view.isVisible(region) && !except(region));
  const hit = nearestVertex(regions, point, reach) ?? nearestEdge(regions, point, reach);
  return hit ? { x: hit.x, y: hit.y } : point;
}

export function nibOverlay(
  context: ToolContext,
  at: Point | null,
  style: "brush" | "eraser",
): Overlay[] {
  if (!at) return [];
  const { shape, radius } = nibOf(context);
  return [{ kind: shape === "round" ? "circle" : "square", x: at.x, y: at.y, radius, style }];
}
