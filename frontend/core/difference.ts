import { geometryMask } from "./loading";
import { eachBitRun, FULL, TILE, tileRect } from "./mask";
import type { Geometry, Size } from "./types";

/** A region as far as comparing needs it. */
export interface Shape {
  /** 0: the model does not name one. */
  readonly category: number;
  readonly geometry: Geometry;
}

/** What became of a pixel. */
export const SAME = 0;
export const ADDED = 1;
export const REMOVED = 2;
export const OTHER = 3;

export interface Difference {
  /** Pixels per cell side, 1 for pictures of up to `MAX_CELLS` pixels. */
  readonly step: number;
  readonly width: number;
  readonly height: number;
  /** Per cell, row-major: the greatest of SAME, ADDED, REMOVED, OTHER in it. */
  readonly cells: Uint8Array;
  /** Pixels of each. */
  readonly added: number;
  readonly removed: number;
  readonly other: number;
  /** Pixels labeled equally, per pixels labeled on either side; 1 where both are empty. */
  readonly iou: number;
}

export const MAX_CELLS = 4_000_000;

/** What stands for a category in 16 bits; 0 stands for none. */
export function categoryNumber(category: number): number {
  return category & 0xffff || 0xffff;
}

/** The `categoryNumber` of each pixel, row-major, 0 for none; later shapes lie in front. */
export function paint(size: Size, shapes: readonly Shape[]): Uint16Array {
  const { width } = size;
  const data = new Uint16Array(width * size.height);
  for (const { category, geometry } of shapes) {
    const number = categoryNumber(category);
    for (const [index, tile] of geometryMask(geometry, size).tiles) {
      const rect = tileRect(index, size);
      if (tile === FULL) {
        for (let y = 0; y < TILE; y++) {
          const start = (rect.y + y) * width + rect.x;
          data.fill(number, start, start + TILE);
        }
        continue;
      }
      for (let x = 0; x < rect.width; x++) {
        for (let half = 0; half < 2; half++) {
          eachBitRun(tile[2 * x + half]!, (from, to) => {
            for (let y = from; y < to; y++) {
              data[(rect.y + 32 * half + y) * width + rect.x + x] = number;
            }
          });
        }
      }
    }
  }
  return data;
}

/** What `now` has that `base` has not, and the other way round; both as `paint` makes them. */
export function difference(size: Size, base: Uint16Array, now: Uint16Array): Difference {
  const step = Math.ceil(Math.sqrt((size.width * size.height) / MAX_CELLS));
  const width = Math.ceil(size.width / step);
  const height = Math.ceil(size.height / step);
  const cells = new Uint8Array(width * height);
  const counts = [0, 0, 0, 0];
  let labeled = 0;
  for (let y = 0; y < size.height; y++) {
    const row = Math.floor(y / step) * width;
    for (let x = 0; x < size.width; x++) {
      const at = y * size.width + x;
      const before = base[at]!;
      const after = now[at]!;
      if (before || after) labeled++;
      if (before === after) continue;
      const what = !before ? ADDED : !after ? REMOVED : OTHER;
      counts[what]!++;
      const cell = row + Math.floor(x / step);
      if (cells[cell]! < what) cells[cell] = what;
    }
  }
  const [, added = 0, removed = 0, other = 0] = counts;
  const iou = labeled ? 1 - (added + removed + other) / labeled : 1;
  return { step, width, height, cells, added, removed, other, iou };
}

/**
 * How much differs around each cell, 0…1: the share of differing cells in a square of 2 `radius` + 1
 * cells, so that a change of a few pixels is seen from afar. Two passes of a running sum.
 */
export function heat({ width, height, cells }: Difference, radius: number): Float32Array {
  const rows = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    let sum = 0;
    for (let x = -radius; x < width; x++) {
      if (x + radius < width && cells[y * width + x + radius]) sum++;
      if (x - radius - 1 >= 0 && cells[y * width + x - radius - 1]) sum--;
      if (x >= 0) rows[y * width + x] = sum;
    }
  }
  const found = new Float32Array(width * height);
  const area = (2 * radius + 1) ** 2;
  for (let x = 0; x < width; x++) {
    let sum = 0;
    for (let y = -radius; y < height; y++) {
      if (y + radius < height) sum += rows[(y + radius) * width + x]!;
      if (y - radius - 1 >= 0) sum -= rows[(y - radius - 1) * width + x]!;
      if (y >= 0) found[y * width + x] = sum / area;
    }
  }
  return found;
}
