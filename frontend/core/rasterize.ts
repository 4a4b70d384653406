import { Mask, MaskWriter } from "./mask";
import type { Polygon, Ring, Size } from "./types";

/**
 * Polygons to pixels by the rule of pycocotools (`rleFrPoly`, Lin et al., COCO, 2014): the outline is
 * walked on a grid five times as fine; where it passes the middle of a column of pixels, that column
 * turns from outside to inside or back.
 */
const FINE = 5;

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

/** Sorted pixel numbers (column by column) at which outside and inside change. */
function crossings(ring: Ring, size: Size): Float64Array {
  const { width, height } = size;
  const fine = (value: number) => Math.trunc(FINE * value + 0.5);
  const found: number[] = [];
  let lastU = Number.NaN;
  let lastV = 0;
  const visit = (u: number, v: number) => {
    if (u !== lastU && !Number.isNaN(lastU)) {
      const x = ((u < lastU ? u : u - 1) + 0.5) / FINE - 0.5;
      if (Number.isInteger(x) && x >= 0 && x <= width - 1) {
        const y = (Math.min(v, lastV) + 0.5) / FINE - 0.5;
        found.push(x * height + Math.ceil(Math.min(Math.max(y, 0), height)));
      }
    }
    lastU = u;
    lastV = v;
  };
  for (let i = 0; i < ring.length; i += 2) {
    const j = (i + 2) % ring.length;
    let [xs, ys, xe, ye] = [fine(ring[i]!), fine(ring[i + 1]!), fine(ring[j]!), fine(ring[j + 1]!)];
    const dx = Math.abs(xe - xs);
    const dy = Math.abs(ye - ys);
    const flat = dx >= dy;
    const flip = flat ? xs > xe : ys > ye;
    if (flip) [xs, ys, xe, ye] = [xe, ye, xs, ys];
    const steps = flat ? dx : dy;
    const slope = steps === 0 ? 0 : (flat ? ye - ys : xe - xs) / steps;
    for (let d = 0; d <= steps; d++) {
      const t = flip ? steps - d : d;
      if (flat) visit(t + xs, Math.trunc(ys + slope * t + 0.5));
      else visit(Math.trunc(xs + slope * t + 0.5), t + ys);
    }
  }
  return Float64Array.from(found).sort();
}
