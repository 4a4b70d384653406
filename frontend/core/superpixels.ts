import { Mask } from "./mask";
import type { Point, Rect, Size } from "./types";

/** A window of the image cut into connected patches of similar colour. */
export interface Superpixels {
  readonly window: Rect;
  /** Per pixel of the window, row-major: the number of its patch, 0…count-1. */
  readonly labels: Int32Array;
  readonly count: number;
}

const ROUNDS = 6;
/** How much a spacing's distance counts, in steps of colour (0…255). */
const COMPACTNESS = 10;

/**
 * SLIC (Achanta and others, 2012) on RGB. `rgba`: row-major, 4 bytes a pixel; `spacing`: pixels on
 * a side of a patch, about. Pieces smaller than a quarter of a patch join a neighbour.
 */
export function superpixels(rgba: Uint8ClampedArray, window: Rect, spacing: number): Superpixels {
  const labels = cluster(rgba, window, Math.max(2, spacing));
  const count = connect(labels, window, (spacing * spacing) / 4);
  return { window, labels, count };
}

function cluster(rgba: Uint8ClampedArray, { width, height }: Rect, spacing: number): Int32Array {
  const columns = Math.max(1, Math.round(width / spacing));
  const rows = Math.max(1, Math.round(height / spacing));
  const count = columns * rows;
  // x, y, red, green, blue of each centre.
  const centres = new Float64Array(count * 5);
  for (let i = 0; i < count; i++) {
    const x = Math.floor((((i % columns) + 0.5) * width) / columns);
    const y = Math.floor(((Math.floor(i / columns) + 0.5) * height) / rows);
    const at = (y * width + x) * 4;
    centres.set([x, y, rgba[at]!, rgba[at + 1]!, rgba[at + 2]!], i * 5);
  }
  const labels = new Int32Array(width * height);
  const nearest = new Float32Array(width * height);
  const nearness = (COMPACTNESS / spacing) ** 2;
  const sums = new Float64Array(count * 6);
  for (let round = 0; round < ROUNDS; round++) {
    nearest.fill(Infinity);
    for (let i = 0; i < count; i++) {
      const [cx, cy] = [centres[i * 5]!, centres[i * 5 + 1]!];
      const [red, green, blue] = [centres[i * 5 + 2]!, centres[i * 5 + 3]!, centres[i * 5 + 4]!];
      const right = Math.min(width, Math.ceil(cx + spacing) + 1);
      const bottom = Math.min(height, Math.ceil(cy + spacing) + 1);
      const left = Math.max(0, Math.floor(cx - spacing));
      for (let y = Math.max(0, Math.floor(cy - spacing)); y < bottom; y++) {
        const dy = (y - cy) * (y - cy);
        for (let x = left, at = y * width + left; x < right; x++, at++) {
          const r = rgba[at * 4]! - red;
          const g = rgba[at * 4 + 1]! - green;
          const b = rgba[at * 4 + 2]! - blue;
          const distance = r * r + g * g + b * b + ((x - cx) * (x - cx) + dy) * nearness;
          if (distance >= nearest[at]!) continue;
          nearest[at] = distance;
          labels[at] = i;
        }
      }
    }
    sums.fill(0);
    for (let y = 0, at = 0; y < height; y++) {
      for (let x = 0; x < width; x++, at++) {
        const sum = labels[at]! * 6;
        sums[sum]! += x;
        sums[sum + 1]! += y;
        for (let c = 0; c < 3; c++) sums[sum + 2 + c]! += rgba[at * 4 + c]!;
        sums[sum + 5]!++;
      }
    }
    for (let i = 0; i < count; i++) {
      const pixels = sums[i * 6 + 5]!;
      if (pixels === 0) continue;
      for (let k = 0; k < 5; k++) centres[i * 5 + k] = sums[i * 6 + k]! / pixels;
    }
  }
  return labels;
}

/** Numbers the connected pieces anew, in place; returns how many there are. */
function connect(labels: Int32Array, { width, height }: Rect, smallest: number): number {
  const old = labels.slice();
  labels.fill(-1);
  const piece = new Int32Array(width * height);
  let count = 0;
  for (let seed = 0; seed < labels.length; seed++) {
    if (labels[seed] !== -1) continue;
    const mine = old[seed];
    // Everything before the seed has its number: the pixel on the left or above is a neighbour's.
    const neighbour =
      seed % width > 0 ? labels[seed - 1]! : seed >= width ? labels[seed - width]! : -1;
    let end = 0;
    piece[end++] = seed;
    labels[seed] = count;
    for (let i = 0; i < end; i++) {
      const at = piece[i]!;
      const x = at % width;
      for (const next of [
        x > 0 ? at - 1 : -1,
        x < width - 1 ? at + 1 : -1,
        at - width,
        at + width < labels.length ? at + width : -1,
      ]) {
        if (next < 0 || labels[next] !== -1 || old[next] !== mine) continue;
        labels[next] = count;
        piece[end++] = next;
      }
    }
    if (end < smallest && neighbour >= 0) {
      for (let i = 0; i < end; i++) labels[piece[i]!] = neighbour;
    } else count++;
  }
  return count;
}

/** The number of the patch at a point; null outside of the window. */
export function patchAt({ window, labels }: Superpixels, { x, y }: Point): number | null {
  const [px, py] = [Math.floor(x) - window.x, Math.floor(y) - window.y];
  if (px < 0 || py < 0 || px >= window.width || py >= window.height) return null;
  return labels[py * window.width + px]!;
}

/** The pixels of a patch around a point of it. Work follows the patch. */
export function patchMask({ window, labels }: Superpixels, size: Size, at: Point): Mask {
  const [x, y] = [Math.floor(at.x) - window.x, Math.floor(at.y) - window.y];
  const { width, height } = window;
  const wanted = labels[y * width + x]!;
  const found = new Set([y * width + x]);
  let [left, top, right, bottom] = [x, y, x, y];
  for (const pixel of found) {
    const px = pixel % width;
    const py = (pixel - px) / width;
    left = Math.min(left, px);
    right = Math.max(right, px);
    top = Math.min(top, py);
    bottom = Math.max(bottom, py);
    if (px > 0 && labels[pixel - 1] === wanted) found.add(pixel - 1);
    if (px < width - 1 && labels[pixel + 1] === wanted) found.add(pixel + 1);
    if (py > 0 && labels[pixel - width] === wanted) found.add(pixel - width);
    if (py < height - 1 && labels[pixel + width] === wanted) found.add(pixel + width);
  }
  const box = { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
  const bits = new Uint8Array(box.width * box.height);
  for (const pixel of found) {
    const px = pixel % width;
    bits[((pixel - px) / width - top) * box.width + px - left] = 1;
  }
  return Mask.fromBitmap(size, { ...box, x: left + window.x, y: top + window.y }, bits);
}
