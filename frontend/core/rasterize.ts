import { Mask, MaskWriter } from "./mask";
import { Spans } from "./spans";
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
  const { data, length } = ringSpans(ring, writer.mask.size);
  for (let i = 0; i < length * 3; i += 3) writer.set(data[i]!, data[i + 1]!, data[i + 2]!);
}

/** What a ring encloses, column after column; runs that touch are one. */
export function ringSpans(ring: Ring, size: Size): Spans {
  const spans = new Spans(size);
  const { width, height } = size;
  const turns = crossings(ring, size);
  let x = Math.floor((turns[0] ?? 0) / height);
  let top = x * height;
  for (let i = 0; i < turns.length; ) {
    // The end of one run at the start of the next one makes them one.
    if (turns[i] === turns[i + 1]) {
      i += 2;
      continue;
    }
    let at = turns[i++]!;
    while (i + 1 < turns.length && turns[i] === turns[i + 1]) i += 2;
    const end = turns[i++] ?? width * height;
    while (at < end) {
      while (top + height <= at) {
        top += height;
        x++;
      }
      const bottom = Math.min(end, top + height);
      spans.add(x, at - top, bottom - top);
      at = bottom;
    }
  }
  return spans;
}

/**
 * Sorted pixel numbers (column by column) at which outside and inside change: where the outline goes
 * from column 5 x + 2 of the fine grid to the next one, or back.
 */
function crossings(ring: Ring, size: Size): Float64Array | Int32Array {
  const { width, height } = size;
  const found: number[] = [];
  const cross = (x: number, v: number) => {
    const y = Math.ceil((v - MIDDLE) / FINE);
    found.push(x * height + (y < 0 ? 0 : y > height ? height : y));
  };
  for (let i = 0; i < ring.length; i += 2) {
    const j = (i + 2) % ring.length;
    let [xs, ys, xe, ye] = [fine(ring[i]!), fine(ring[i + 1]!), fine(ring[j]!), fine(ring[j + 1]!)];
    const dx = Math.abs(xe - xs);
    const dy = Math.abs(ye - ys);
    const flat = dx >= dy;
    if (flat ? xs > xe : ys > ye) [xs, ys, xe, ye] = [xe, ye, xs, ys];
    const left = Math.min(xs, xe);
    const first = left <= MIDDLE ? 0 : Math.ceil((left - MIDDLE) / FINE);
    const last = Math.min(width - 1, Math.floor((Math.max(xs, xe) - 1 - MIDDLE) / FINE));
    if (flat) {
      const slope = dx === 0 ? 0 : (ye - ys) / dx;
      for (let x = first; x <= last; x++) {
        const u = FINE * x + MIDDLE - xs;
        cross(x, Math.trunc(ys + slope * (slope < 0 ? u + 1 : u) + 0.5));
      }
      continue;
    }
    // The first step at which the outline has come to the other side.
    const slope = (xe - xs) / dy;
    const right = slope > 0;
    const there = (t: number, u: number) => Math.trunc(xs + slope * t + 0.5) > u === right;
    for (let x = first; x <= last; x++) {
      const u = FINE * x + MIDDLE;
      let t = Math.min(dy, Math.max(1, Math.round((u + 0.5 - xs) / slope)));
      while (t > 1 && there(t - 1, u)) t--;
      while (!there(t, u)) t++;
      cross(x, ys + t - 1);
    }
  }
  // Whole numbers cost no memory before the browser has compiled what reads them.
  const Numbers = width * height < 2 ** 30 ? Int32Array : Float64Array;
  return new Numbers(found).sort();
}

function fine(value: number): number {
  return Math.trunc(FINE * value + 0.5);
}
