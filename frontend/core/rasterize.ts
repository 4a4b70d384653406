import { Mask, MaskWriter } from "./mask";
import type { Polygon, Ring, Size } from "./types";

/**
 * Polygons to pixels by the rule of pycocotools (`rleFrPoly`, Lin et al., COCO, 2014): the outline is
 * walked on a grid five times as fine; where it passes the middle of a column of pixels, that column
 * turns from outside to inside or back.
 */
const FINE = 5;
const MIDDLE = 2;

/** The union over the polygons of (outside minus holes). */
export function rasterize(polygons: readonly Polygon[], size: Size): Mask {
  const writer = new MaskWriter(new Mask(size));
  for (const [outside, ...holes] of polygons) {
    if (!outside) continue;
    if (holes.length === 0) {
      fill(writer, outside);
      continue;
    }
    const part = new MaskWriter(new Mask(size));
    fill(part, outside);
    for (const hole of holes) {
      const hollow = new MaskWriter(new Mask(size));
      fill(hollow, hole);
      part.subtract(hollow.mask);
    }
    part.mask.forEachRun((x, y0, y1) => writer.set(x, y0, y1));
  }
  writer.finish();
  return writer.mask;
}

function fill(writer: MaskWriter, ring: Ring): void {
  const turns = crossings(ring, writer.mask.size);
  for (let i = 0; i < turns.length; ) {
    // The end of one run at the start of the next one makes them one.
    if (turns[i] === turns[i + 1]) {
      i += 2;
      continue;
    }
    const start = turns[i++]!;
    while (i + 1 < turns.length && turns[i] === turns[i + 1]) i += 2;
    const end = turns[i++] ?? writer.mask.size.width * writer.mask.size.height;
    writer.setRange(start, end);
  }
}

/**
 * Sorted pixel numbers (column by column) at which outside and inside change: where the outline goes
 * from column 5 x + 2 of the fine grid to the next one, or back.
 */
function crossings(ring: Ring, size: Size): Float64Array {
  const { width, height } = size;
  const found: number[] = [];
  const cross = (x: number, v: number) => {
    const y = (v + 0.5) / FINE - 0.5;
    found.push(x * height + Math.ceil(Math.min(Math.max(y, 0), height)));
  };
  for (let i = 0; i < ring.length; i += 2) {
    const j = (i + 2) % ring.length;
    let [xs, ys, xe, ye] = [fine(ring[i]!), fine(ring[i + 1]!), fine(ring[j]!), fine(ring[j + 1]!)];
    const dx = Math.abs(xe - xs);
    const dy = Math.abs(ye - ys);
    const flat = dx >= dy;
    if (flat ? xs > xe : ys > ye) [xs, ys, xe, ye] = [xe, ye, xs, ys];
    if (flat) {
      const slope = dx === 0 ? 0 : (ye - ys) / dx;
      const v = (u: number) => Math.trunc(ys + slope * (u - xs) + 0.5);
      const last = Math.min(width - 1, Math.floor((xe - 1 - MIDDLE) / FINE));
      for (let x = Math.max(0, Math.ceil((xs - MIDDLE) / FINE)); x <= last; x++) {
        const u = FINE * x + MIDDLE;
        cross(x, Math.min(v(u), v(u + 1)));
      }
      continue;
    }
    const slope = (xe - xs) / dy;
    let u = Math.trunc(xs + 0.5);
    for (let t = 1; t <= dy; t++) {
      const next = Math.trunc(xs + slope * t + 0.5);
      if (next === u) continue;
      const x = (Math.min(u, next) - MIDDLE) / FINE;
      if (x >= 0 && x < width && Number.isInteger(x)) cross(x, ys + t - 1);
      u = next;
    }
  }
  return Float64Array.from(found).sort();
}

function fine(value: number): number {
  return Math.trunc(FINE * value + 0.5);
}
