import type { VertexRef } from "../hittest";
import type { Point, Polygon, Ring } from "../types";

/** Polygons with one ring replaced; null takes the ring away, and an outside takes its holes along. */
function withRing(
  polygons: readonly Polygon[],
  { polygon, ring }: Pick<VertexRef, "polygon" | "ring">,
  points: Ring | null,
): Polygon[] {
  return polygons.flatMap((rings, p) => {
    if (p !== polygon) return [rings];
    if (points) return [rings.map((old, r) => (r === ring ? points : old))];
    return ring === 0 ? [] : [rings.filter((_, r) => r !== ring)];
  });
}

export function moveVertex(polygons: readonly Polygon[], ref: VertexRef, to: Point): Polygon[] {
  const points = [...polygons[ref.polygon]![ref.ring]!];
  points[ref.index * 2] = to.x;
  points[ref.index * 2 + 1] = to.y;
  return withRing(polygons, ref, points);
}

/** Adds a vertex on the edge that begins at `ref`. */
export function insertVertex(polygons: readonly Polygon[], ref: VertexRef, at: Point): Polygon[] {
  const points = [...polygons[ref.polygon]![ref.ring]!];
  points.splice(ref.index * 2 + 2, 0, at.x, at.y);
  return withRing(polygons, ref, points);
}

/** A ring left with two vertices goes too; no polygons are left when that was the last outside. */
export function deleteVertex(polygons: readonly Polygon[], ref: VertexRef): Polygon[] {
  const points = [...polygons[ref.polygon]![ref.ring]!];
  points.splice(ref.index * 2, 2);
  return withRing(polygons, ref, points.length < 6 ? null : points);
}

export function movePolygons(polygons: readonly Polygon[], dx: number, dy: number): Polygon[] {
  return polygons.map((rings) =>
    rings.map((points) => points.map((value, i) => value + (i % 2 ? dy : dx))),
  );
}

/** Even-odd. */
export function ringContains(ring: Ring, { x, y }: Point): boolean {
  let inside = false;
  for (let i = 0, j = ring.length - 2; i < ring.length; j = i, i += 2) {
    const [x0, y0, x1, y1] = [ring[i]!, ring[i + 1]!, ring[j]!, ring[j + 1]!];
    if (y0 > y !== y1 > y && x < ((x1 - x0) * (y - y0)) / (y1 - y0) + x0) inside = !inside;
  }
  return inside;
}
