import { Mask, MaskWriter } from "../mask";
import type { Point, Polygon, Ring } from "../types";
import { ringContains } from "./vertices";

/** Where a point is seen from the line: positive on one side, negative on the other. */
function side(a: Point, b: Point, x: number, y: number): number {
  return (b.x - a.x) * (y - a.y) - (b.y - a.y) * (x - a.x);
}

/** The pixels on either side of the endless line through a and b; each pixel by its centre. */
export function splitMask(mask: Mask, a: Point, b: Point): [Mask, Mask] {
  const writer = new MaskWriter(new Mask(mask.size));
  mask.forEachRun((x, y0, y1) => {
    for (let y = y0; y < y1; y++) if (side(a, b, x + 0.5, y + 0.5) >= 0) writer.set(x, y, y + 1);
  });
  writer.finish();
  return [writer.mask, mask.subtract(writer.mask)];
}

interface Crossing extends Point {
  /** Position along the line. */
  readonly along: number;
}

/** A piece of a ring on one side, from where it enters that side to where it leaves it. */
interface Chain {
  readonly from: Crossing;
  readonly points: readonly number[];
  readonly to: Crossing;
}

/**
 * The polygons on either side of the endless line through a and b. Null where a polygon crosses
 * itself so that its pieces cannot be joined.
 */
export function splitPolygons(
  polygons: readonly Polygon[],
  a: Point,
  b: Point,
): [Polygon[], Polygon[]] | null {
  const result: [Polygon[], Polygon[]] = [[], []];
  for (const polygon of polygons) {
    const crossings: Crossing[] = [];
    const chains: [Chain[], Chain[]] = [[], []];
    const whole: [Ring[], Ring[]] = [[], []];
    let outsideCut = false;
    polygon.forEach((ring, i) => {
      const cut = cutRing(oriented(ring, i === 0), a, b, crossings, chains);
      if (cut === null) outsideCut ||= i === 0;
      else whole[cut].push(ring);
    });
    crossings.sort((p, q) => p.along - q.along);
    for (const s of [0, 1] as const) {
      const rings = outsideCut ? join(chains[s], crossings) : whole[s].slice(0, 1);
      if (!rings) return null;
      const holes = outsideCut ? whole[s] : whole[s].slice(1);
      for (const outside of rings) {
        result[s].push([
          outside,
          ...holes.filter((hole) => ringContains(outside, { x: hole[0]!, y: hole[1]! })),
        ]);
      }
    }
  }
  return result;
}

/** Clockwise on screen for outsides, the other way round for holes. */
function oriented(ring: Ring, clockwise: boolean): Ring {
  let doubled = 0;
  for (let i = 0; i < ring.length; i += 2) {
    const j = (i + 2) % ring.length;
    doubled += ring[i]! * ring[j + 1]! - ring[j]! * ring[i + 1]!;
  }
  if (doubled > 0 === clockwise) return ring;
  const turned: number[] = [];
  for (let i = ring.length - 2; i >= 0; i -= 2) turned.push(ring[i]!, ring[i + 1]!);
  return turned;
}

/** Adds the ring's chains and crossings; its side where the line does not meet it. */
function cutRing(
  ring: Ring,
  a: Point,
  b: Point,
  crossings: Crossing[],
  chains: [Chain[], Chain[]],
): 0 | 1 | null {
  const count = ring.length / 2;
  const sideOf = (i: number): 0 | 1 => (side(a, b, ring[2 * i]!, ring[2 * i + 1]!) >= 0 ? 0 : 1);
  const turns: { crossing: Crossing; next: number }[] = [];
  for (let i = 0; i < count; i++) {
    const j = (i + 1) % count;
    if (sideOf(i) === sideOf(j)) continue;
    const [x0, y0, x1, y1] = [ring[2 * i]!, ring[2 * i + 1]!, ring[2 * j]!, ring[2 * j + 1]!];
    const [d0, d1] = [side(a, b, x0, y0), side(a, b, x1, y1)];
    const t = d0 / (d0 - d1);
    const [x, y] = [x0 + t * (x1 - x0), y0 + t * (y1 - y0)];
    turns.push({ crossing: { x, y, along: (b.x - a.x) * x + (b.y - a.y) * y }, next: j });
  }
  if (turns.length === 0) return sideOf(0);
  turns.forEach(({ crossing, next }, i) => {
    const end = turns[(i + 1) % turns.length]!;
    const points: number[] = [];
    for (let v = next; v !== end.next; v = (v + 1) % count) {
      points.push(ring[2 * v]!, ring[2 * v + 1]!);
    }
    chains[sideOf(next)].push({ from: crossing, points, to: end.crossing });
    crossings.push(crossing);
  });
  return null;
}

/** Joins chains along the line: inside of the polygon lie its parts between crossing 0 and 1, 2 and 3, … */
function join(chains: readonly Chain[], crossings: readonly Crossing[]): Ring[] | null {
  const startingAt = new Map(chains.map((chain) => [chain.from, chain]));
  const rings: Ring[] = [];
  while (startingAt.size > 0) {
    const first = startingAt.values().next().value!;
    const ring: number[] = [];
    let chain: Chain | undefined = first;
    do {
      startingAt.delete(chain.from);
      ring.push(chain.from.x, chain.from.y, ...chain.points, chain.to.x, chain.to.y);
      const partner: Crossing | undefined = crossings[crossings.indexOf(chain.to) ^ 1];
      if (partner === first.from) break;
      chain = partner && startingAt.get(partner);
      if (!chain) return null;
    } while (chain);
    rings.push(ring);
  }
  return rings;
}
