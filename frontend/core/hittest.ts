import type { Document } from "./document";
import { intersects } from "./rect";
import type { Point, Polygon, Rect, Region } from "./types";
import type { View } from "./view";

/** Where a vertex is inside a region's polygons. */
export interface VertexRef {
  readonly uuid: string;
  readonly polygon: number;
  readonly ring: number;
  /** Of the vertex, or of the first vertex of the edge. */
  readonly index: number;
}

export interface VertexHit extends VertexRef, Point {}

/** Visible regions that cover the pixel, front to back. */
export function regionsAt(doc: Document, view: View, { x, y }: Point): Region[] {
  if (doc.exclusive) {
    const region = doc.bySlot(doc.slotAt(x, y));
    return region && view.isVisible(region) ? [region] : [];
  }
  return doc.regions
    .filter((r) => contains(r.bbox, x, y) && view.isVisible(r) && doc.covers(r.uuid, x, y))
    .reverse();
}

/** Visible regions that lie wholly inside of the rectangle. */
export function regionsInside(doc: Document, view: View, box: Rect): Region[] {
  return doc.regions.filter(
    ({ bbox, ...region }) =>
      bbox.x >= box.x &&
      bbox.y >= box.y &&
      bbox.x + bbox.width <= box.x + box.width &&
      bbox.y + bbox.height <= box.y + box.height &&
      view.isVisible({ bbox, ...region }),
  );
}

/** The vertex nearest to the point, at most `tolerance` image pixels away. */
export function nearestVertex(
  regions: readonly Region[],
  point: Point,
  tolerance: number,
): VertexHit | null {
  let best: VertexHit | null = null;
  let limit = tolerance;
  eachEdge(regions, point, tolerance, (ref, x, y) => {
    const distance = Math.hypot(x - point.x, y - point.y);
    if (distance > limit || (best && distance === limit)) return;
    limit = distance;
    best = { ...ref, x, y };
  });
  return best;
}

/** The middle of an edge, nearest to the point: where a vertex is added. */
export function nearestMidpoint(
  regions: readonly Region[],
  point: Point,
  tolerance: number,
): VertexHit | null {
  let best: VertexHit | null = null;
  let limit = tolerance;
  eachEdge(regions, point, tolerance, (ref, x0, y0, x1, y1) => {
    const [x, y] = [(x0 + x1) / 2, (y0 + y1) / 2];
    const distance = Math.hypot(x - point.x, y - point.y);
    if (distance > limit) return;
    limit = distance;
    best = { ...ref, x, y };
  });
  return best;
}

/** The point on an edge nearest to the point. */
export function nearestEdge(
  regions: readonly Region[],
  point: Point,
  tolerance: number,
): VertexHit | null {
  let best: VertexHit | null = null;
  let limit = tolerance;
  eachEdge(regions, point, tolerance, (ref, x0, y0, x1, y1) => {
    const length = (x1 - x0) ** 2 + (y1 - y0) ** 2;
    const along = length ? ((point.x - x0) * (x1 - x0) + (point.y - y0) * (y1 - y0)) / length : 0;
    const t = Math.max(0, Math.min(1, along));
    const [x, y] = [x0 + t * (x1 - x0), y0 + t * (y1 - y0)];
    const distance = Math.hypot(x - point.x, y - point.y);
    if (distance > limit) return;
    limit = distance;
    best = { ...ref, x, y };
  });
  return best;
}

const NONE: readonly Polygon[] = [];

/** Always the same array for the same region; empty for a mask. */
export function polygonsOf(region: Region): readonly Polygon[] {
  return region.geometry.type === "polygons" ? region.geometry.polygons : NONE;
}

function contains(box: Rect, x: number, y: number): boolean {
  return x >= box.x && y >= box.y && x < box.x + box.width && y < box.y + box.height;
}

function eachEdge(
  regions: readonly Region[],
  point: Point,
  tolerance: number,
  visit: (ref: VertexRef, x0: number, y0: number, x1: number, y1: number) => void,
): void {
  // One pixel more: vertices may lie just outside of the pixels they enclose.
  const reach = tolerance + 1;
  const near: Rect = {
    x: point.x - reach,
    y: point.y - reach,
    width: 2 * reach,
    height: 2 * reach,
  };
  for (const region of regions) {
    if (!intersects(region.bbox, near)) continue;
    polygonsOf(region).forEach((rings, polygon) => {
      rings.forEach((points, ring) => {
        for (let i = 0; i < points.length; i += 2) {
          const j = (i + 2) % points.length;
          const ref = { uuid: region.uuid, polygon, ring, index: i / 2 };
          visit(ref, points[i]!, points[i + 1]!, points[j]!, points[j + 1]!);
        }
      });
    });
  }
}
