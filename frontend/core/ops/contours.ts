import type { Mask } from "../mask";
import { rasterize } from "../rasterize";
import type { Polygon, Ring } from "../types";
import { components } from "./components";

export interface Traced {
  readonly polygons: Polygon[];
  /** Of the polygons' mask with the given one, 0…1. */
  readonly iou: number;
}

/**
 * Polygons with holes along the pixel edges of a mask, one per 4-connected part. `tolerance`: how
 * far, in pixels, the outline may move when vertices are dropped; at 0 only those on straight lines
 * are, and the mask of the polygons is the given one. Parts left with less than three vertices go.
 */
export function maskToPolygons(mask: Mask, tolerance: number): Traced {
  // One pixel of margin, also beyond the image, so that every border is inside of the window.
  const box = mask.bbox();
  const window = { x: box.x - 1, y: box.y - 1, width: box.width + 2, height: box.height + 2 };
  const pixels = mask.bitmap(window);
  const { labels } = components(pixels, window.width, window.height, false);
  const outsides = new Map<number, Ring>();
  const holes = new Map<number, Ring[]>();
  for (const { ring, part, isHole } of trace(pixels, labels, window.width)) {
    const simple = simplify(ring, tolerance).map((v, i) => v + (i % 2 ? window.y : window.x));
    if (simple.length < 6) continue;
    if (!isHole) outsides.set(part, simple);
    else holes.set(part, [...(holes.get(part) ?? []), simple]);
  }
  const polygons = [...outsides].map(([part, outside]) => [outside, ...(holes.get(part) ?? [])]);
  const drawn = rasterize(polygons, mask.size);
  const union = drawn.union(mask).area();
  return { polygons, iou: union === 0 ? 1 : drawn.intersect(mask).area() / union };
}

interface Traversal {
  ring: number[];
  /** Label of the part it bounds. */
  part: number;
  isHole: boolean;
}

/** East, south, west, north. */
const STEPS = [
  [1, 0],
  [0, 1],
  [-1, 0],
  [0, -1],
] as const;

/** Walks every border with the inside on the right hand: outsides clockwise on screen, holes not. */
function* trace(pixels: Uint8Array, labels: Int32Array, width: number): Generator<Traversal> {
  const walked = new Uint8Array(pixels.length);
  const inside = (x: number, y: number) => pixels[y * width + x] === 1;
  for (let start = width; start < pixels.length; start++) {
    if (!pixels[start] || pixels[start - width] || walked[start]) continue;
    const [x0, y0] = [start % width, Math.floor(start / width)];
    let [x, y, direction] = [x0, y0, 0];
    const ring: number[] = [];
    let doubled = 0;
    do {
      // Along the top of a pixel, eastwards: so that no border is walked twice.
      if (direction === 0) walked[y * width + x] = 1;
      const [dx, dy] = STEPS[direction]!;
      doubled += x * dy - y * dx;
      x += dx;
      y += dy;
      // The two pixels ahead of the corner, on the right and on the left hand.
      const right = aheadRight(x, y, direction);
      const left = aheadRight(x, y, (direction + 3) % 4);
      let next = direction;
      if (!inside(right[0], right[1])) next = (direction + 1) % 4;
      else if (inside(left[0], left[1])) next = (direction + 3) % 4;
      if (next !== direction) ring.push(x, y);
      direction = next;
    } while (x !== x0 || y !== y0 || direction !== 0);
    yield { ring, part: labels[start]!, isHole: doubled < 0 };
  }
}

/** The pixel ahead on the right hand of somebody at a corner who looks into a direction. */
function aheadRight(x: number, y: number, direction: number): [number, number] {
  if (direction === 0) return [x, y];
  if (direction === 1) return [x - 1, y];
  if (direction === 2) return [x - 1, y - 1];
  return [x, y - 1];
}

/** Douglas and Peucker (1973) on a closed ring. */
export function simplify(ring: Ring, tolerance: number): number[] {
  const count = ring.length / 2;
  if (tolerance <= 0 || count < 4) return [...ring];
  let far = 0;
  let reach = -1;
  for (let i = 1; i < count; i++) {
    const distance = Math.hypot(ring[2 * i]! - ring[0]!, ring[2 * i + 1]! - ring[1]!);
    if (distance > reach) [reach, far] = [distance, i];
  }
  const keep = new Uint8Array(count);
  keep[0] = 1;
  keep[far] = 1;
  const stack: [number, number][] = [
    [0, far],
    [far, count],
  ];
  for (let part = stack.pop(); part; part = stack.pop()) {
    const [from, to] = part;
    const end = to % count;
    let worst = -1;
    let most = tolerance;
    for (let i = from + 1; i < to; i++) {
      const off = segmentDistance(ring, i, from, end);
      if (off > most) [most, worst] = [off, i];
    }
    if (worst < 0) continue;
    keep[worst] = 1;
    stack.push([from, worst], [worst, to]);
  }
  const left: number[] = [];
  for (let i = 0; i < count; i++) if (keep[i]) left.push(ring[2 * i]!, ring[2 * i + 1]!);
  return left;
}

function segmentDistance(ring: Ring, point: number, from: number, to: number): number {
  const [px, py] = [ring[2 * point]!, ring[2 * point + 1]!];
  const [ax, ay] = [ring[2 * from]!, ring[2 * from + 1]!];
  const [bx, by] = [ring[2 * to]!, ring[2 * to + 1]!];
  const length = (bx - ax) ** 2 + (by - ay) ** 2;
  const along = length ? ((px - ax) * (bx - ax) + (py - ay) * (by - ay)) / length : 0;
  const t = Math.max(0, Math.min(1, along));
  return Math.hypot(px - ax - t * (bx - ax), py - ay - t * (by - ay));
}
