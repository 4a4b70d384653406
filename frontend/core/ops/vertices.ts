import type { VertexRef } from "../hittest";
import type { Point, Polygon, Ring } from "../types";

/** Polygons with one ring replaced. */
function withRing(
  polygons: readonly Polygon[],
  { polygon, ring }: Pick<VertexRef, "polygon" | "ring">,
  points: Ring,
): Polygon[] {
  return polygons.map((rings, p) =>
    p === polygon ? rings.map((old, r) => (r === ring ? points : old)) : rings,
  );
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

/** Vertices at most that far apart (pixels) are one place. */
const SAME_PLACE = 0.01;

function samePlace(a: Point, b: Point): boolean {
  return Math.hypot(a.x - b.x, a.y - b.y) <= SAME_PLACE;
}

/** The vertex, or the first one of the edge, and the one after it. */
export function edgeAt(
  polygons: readonly Polygon[],
  { polygon, ring, index }: Omit<VertexRef, "uuid">,
): [Point, Point] {
  const points = polygons[polygon]![ring]!;
  const next = (index * 2 + 2) % points.length;
  return [
    { x: points[index * 2]!, y: points[index * 2 + 1]! },
    { x: points[next]!, y: points[next + 1]! },
  ];
}

/** Every vertex at one of the places. */
export function verticesAt(
  uuid: string,
  polygons: readonly Polygon[],
  places: readonly Point[],
): VertexRef[] {
  return refs(uuid, polygons).filter((ref) => {
    const [vertex] = edgeAt(polygons, ref);
    return places.some((place) => samePlace(place, vertex));
  });
}

/** Every edge between the two places, in either direction. */
export function edgesBetween(
  uuid: string,
  polygons: readonly Polygon[],
  [a, b]: readonly [Point, Point],
): VertexRef[] {
  return refs(uuid, polygons).filter((ref) => {
    const [from, to] = edgeAt(polygons, ref);
    return (samePlace(from, a) && samePlace(to, b)) || (samePlace(from, b) && samePlace(to, a));
  });
}

/**
 * With the places that lie on an edge as vertices of it, so that two outlines along one border have
 * the same ones; the same polygons where none does.
 */
export function withVertices(
  polygons: readonly Polygon[],
  places: readonly Point[],
): readonly Polygon[] {
  let any = false;
  const next = polygons.map((rings) =>
    rings.map((points) => {
      const made: number[] = [];
      for (let i = 0; i < points.length; i += 2) {
        const j = (i + 2) % points.length;
        const a = { x: points[i]!, y: points[i + 1]! };
        const b = { x: points[j]!, y: points[j + 1]! };
        made.push(a.x, a.y);
        for (const { x, y } of onEdge(a, b, places)) made.push(x, y);
      }
      if (made.length === points.length) return points;
      any = true;
      return made;
    }),
  );
  return any ? next : polygons;
}

/** The places strictly between the ends of an edge, from `a` on, each once. */
function onEdge(a: Point, b: Point, places: readonly Point[]): readonly Point[] {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = Math.hypot(dx, dy);
  if (length <= 2 * SAME_PLACE) return [];
  const along = ({ x, y }: Point) => ((x - a.x) * dx + (y - a.y) * dy) / length;
  const found = places
    .filter((place) => {
      const t = along(place);
      if (t <= SAME_PLACE || t >= length - SAME_PLACE) return false;
      return Math.abs((place.x - a.x) * dy - (place.y - a.y) * dx) / length <= SAME_PLACE;
    })
    .sort((one, other) => along(one) - along(other));
  return found.filter((place, i) => i === 0 || !samePlace(place, found[i - 1]!));
}

/** Every vertex. */
export function placesOf(polygons: readonly Polygon[]): Point[] {
  return polygons.flat().flatMap((points) =>
    Array.from({ length: points.length / 2 }, (_, i) => ({
      x: points[i * 2]!,
      y: points[i * 2 + 1]!,
    })),
  );
}

/** Without all vertices at the place; the same polygons where there are none. */
export function dropVertices(polygons: readonly Polygon[], place: Point): readonly Polygon[] {
  const any = verticesAt("", polygons, [place]).length > 0;
  return any ? keepVertices(polygons, (vertex) => !samePlace(vertex, place)) : polygons;
}

/** All vertices at `from` come to `to`; those that then follow each other in one place are one. */
export function joinVertices(
  polygons: readonly Polygon[],
  from: readonly Point[],
  to: Point,
): readonly Polygon[] {
  const found = verticesAt("", polygons, from);
  if (found.length === 0) return polygons;
  const joined = found.reduce<readonly Polygon[]>((now, ref) => moveVertex(now, ref, to), polygons);
  return keepVertices(joined, (vertex, before) => vertex.x !== before.x || vertex.y !== before.y);
}

/** Rings left with two vertices go, and an outside takes its holes along. */
function keepVertices(
  polygons: readonly Polygon[],
  keep: (vertex: Point, before: Point) => boolean,
): Polygon[] {
  return polygons.flatMap((rings) => {
    const [outside, ...holes] = rings.map((points) => {
      const kept: number[] = [];
      for (let i = 0; i < points.length; i += 2) {
        const j = (i + points.length - 2) % points.length;
        const vertex = { x: points[i]!, y: points[i + 1]! };
        if (keep(vertex, { x: points[j]!, y: points[j + 1]! })) kept.push(vertex.x, vertex.y);
      }
      return kept;
    });
    if (!outside || outside.length < 6) return [];
    return [[outside, ...holes.filter((points) => points.length >= 6)]];
  });
}

function refs(uuid: string, polygons: readonly Polygon[]): VertexRef[] {
  return polygons.flatMap((rings, polygon) =>
    rings.flatMap((points, ring) =>
      Array.from({ length: points.length / 2 }, (_, index) => ({ uuid, polygon, ring, index })),
    ),
  );
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
