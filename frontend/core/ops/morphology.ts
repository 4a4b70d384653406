import { Mask } from "../mask";
import { growRect } from "../rect";
import type { Rect } from "../types";
import { components } from "./components";

/** Sets holes of at most `maxArea` pixels. A hole is not connected to the outside, also diagonally. */
export function fillHoles(mask: Mask, maxArea = Infinity): Mask {
  const box = mask.bbox();
  const window = { x: box.x - 1, y: box.y - 1, width: box.width + 2, height: box.height + 2 };
  const empty = mask.bitmap(window).map((bit) => 1 - bit);
  const { labels, areas } = components(empty, window.width, window.height, true);
  const outside = labels[0]!;
  const filled = labels.map(
    (label) => +(label === 0 || (label !== outside && areas[label]! <= maxArea)),
  );
  return Mask.fromBitmap(mask.size, window, filled);
}

/** Drops 4-connected parts of less than `minArea` pixels; the largest one always stays. */
export function removeIslands(mask: Mask, minArea: number): Mask {
  const box = mask.bbox();
  const { labels, areas } = components(mask.bitmap(box), box.width, box.height, false);
  const largest = areas.indexOf(areas.reduce((most, area) => Math.max(most, area), 0));
  const kept = labels.map(
    (label) => +(label > 0 && (label === largest || areas[label]! >= minArea)),
  );
  return Mask.fromBitmap(mask.size, box, kept);
}

/** Adds all pixels within `radius` pixels. */
export function grow(mask: Mask, radius: number): Mask {
  if (mask.isEmpty) return mask;
  const window = growRect(mask.bbox(), radius, mask.size);
  const distances = squaredDistances(mask.bitmap(window), window);
  return Mask.fromBitmap(
    mask.size,
    window,
    distances.map((d) => +(d <= radius * radius)),
  );
}

/** Takes away all pixels within `radius` of an unset one. The border of the image is none. */
export function shrink(mask: Mask, radius: number): Mask {
  if (mask.isEmpty) return mask;
  const window = growRect(mask.bbox(), 1, mask.size);
  const distances = squaredDistances(
    mask.bitmap(window).map((bit) => 1 - bit),
    window,
  );
  return Mask.fromBitmap(
    mask.size,
    window,
    distances.map((d) => +(d > radius * radius)),
  );
}

/** Each pixel becomes what most pixels of the square of that radius around it are. */
export function smooth(mask: Mask, radius: number): Mask {
  if (mask.isEmpty) return mask;
  const window = growRect(mask.bbox(), radius, mask.size);
  const { width, height } = window;
  const pixels = mask.bitmap(window);
  const sums = new Uint32Array((width + 1) * (height + 1));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y + 1) * (width + 1) + x + 1;
      sums[at] =
        pixels[y * width + x]! + sums[at - 1]! + sums[at - width - 1]! - sums[at - width - 2]!;
    }
  }
  const result = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++) {
    const [top, bottom] = [Math.max(0, y - radius), Math.min(height, y + radius + 1)];
    for (let x = 0; x < width; x++) {
      const [left, right] = [Math.max(0, x - radius), Math.min(width, x + radius + 1)];
      const sum = (cx: number, cy: number) => sums[cy * (width + 1) + cx]!;
      const set = sum(right, bottom) - sum(left, bottom) - sum(right, top) + sum(left, top);
      result[y * width + x] = +(2 * set > (right - left) * (bottom - top));
    }
  }
  return Mask.fromBitmap(mask.size, window, result);
}

/**
 * Squared distance of every pixel to the nearest set one, infinite where none is set (Felzenszwalb
 * and Huttenlocher, Distance Transforms of Sampled Functions, 2012).
 */
function squaredDistances(pixels: Uint8Array, { width, height }: Rect): Float64Array {
  const result = Float64Array.from(pixels, (bit) => (bit ? 0 : Infinity));
  const length = Math.max(width, height);
  const line = new Float64Array(length);
  const vertices = new Int32Array(length);
  const borders = new Float64Array(length + 1);
  const transform = (start: number, step: number, count: number) => {
    for (let i = 0; i < count; i++) line[i] = result[start + i * step]!;
    let last = -1;
    for (let q = 0; q < count; q++) {
      if (line[q] === Infinity) continue;
      let meet = -Infinity;
      while (last >= 0) {
        const v = vertices[last]!;
        meet = (line[q]! + q * q - line[v]! - v * v) / (2 * (q - v));
        if (meet > borders[last]!) break;
        last--;
      }
      last++;
      vertices[last] = q;
      borders[last] = last === 0 ? -Infinity : meet;
      borders[last + 1] = Infinity;
    }
    if (last < 0) return;
    for (let i = 0, k = 0; i < count; i++) {
      while (borders[k + 1]! < i) k++;
      const v = vertices[k]!;
      result[start + i * step] = (i - v) ** 2 + line[v]!;
    }
  };
  for (let x = 0; x < width; x++) transform(x, width, height);
  for (let y = 0; y < height; y++) transform(y * width, 1, width);
  return result;
}
