import type { Point, Rect } from "./types";

/** A step costs at least 1 along the strongest edge, at most this off every edge. */
const MAX_COST = 60;
const BUCKETS = 128;
/** How many pixels one question may settle, so that no answer takes long. */
const PER_PATH = 60_000;

/**
 * Intelligent scissors (Mortensen and Barrett, 1995): the cheapest way through a window of pixels
 * from an anchor to any other pixel, where following a strong edge is cheap. Ways are searched for
 * as they are asked for.
 */
export class LiveWire {
  private readonly width: number;
  private readonly height: number;
  private readonly costs: Uint8Array;
  private readonly total: Int32Array;
  private readonly from: Int32Array;
  private readonly settled: Uint8Array;
  private readonly buckets: number[][] = Array.from({ length: BUCKETS }, () => []);
  private queued = 0;
  private level = 0;

  /**
   * `rgba`: row-major over `window`, 4 bytes a pixel. `step`: pixels on a side of a cell; ways lead
   * from cell to cell.
   */
  constructor(
    rgba: Uint8ClampedArray,
    readonly window: Rect,
    private readonly step: number,
    readonly anchor: Point,
  ) {
    this.width = Math.ceil(window.width / step);
    this.height = Math.ceil(window.height / step);
    this.costs = edgeCosts(cells(rgba, window, step, this.width, this.height), this.width);
    this.total = new Int32Array(this.costs.length).fill(-1);
    this.from = new Int32Array(this.costs.length).fill(-1);
    this.settled = new Uint8Array(this.costs.length);
    const start = this.cellAt(anchor);
    if (start >= 0) this.reach(start, 0, -1);
  }

  /** x, y, … from the anchor to `to`, both included; straight where there is no way. */
  path(to: Point): number[] {
    const goal = this.cellAt(to);
    if (goal < 0 || !this.search(goal)) return [this.anchor.x, this.anchor.y, to.x, to.y];
    const points = [to.y, to.x];
    for (let at = this.from[goal]!; at >= 0 && this.from[at]! >= 0; at = this.from[at]!) {
      const x = at % this.width;
      const y = (at - x) / this.width;
      points.push(this.window.y + (y + 0.5) * this.step, this.window.x + (x + 0.5) * this.step);
    }
    points.push(this.anchor.y, this.anchor.x);
    return points.reverse();
  }

  private cellAt({ x, y }: Point): number {
    const cx = Math.floor((x - this.window.x) / this.step);
    const cy = Math.floor((y - this.window.y) / this.step);
    return cx < 0 || cy < 0 || cx >= this.width || cy >= this.height ? -1 : cy * this.width + cx;
  }

  private reach(cell: number, total: number, from: number): void {
    this.total[cell] = total;
    this.from[cell] = from;
    this.buckets[total % BUCKETS]!.push(cell);
    this.queued++;
  }

  /** Dijkstra with buckets (Dial, 1969), until the goal is settled; false when it takes too long. */
  private search(goal: number): boolean {
    const { width, height } = this;
    let budget = PER_PATH;
    while (!this.settled[goal] && this.queued > 0 && budget > 0) {
      const bucket = this.buckets[this.level % BUCKETS]!;
      const cell = bucket.pop();
      if (cell === undefined) {
        this.level++;
        continue;
      }
      this.queued--;
      if (this.settled[cell] || this.total[cell] !== this.level) continue;
      this.settled[cell] = 1;
      budget--;
      const x = cell % width;
      const y = (cell - x) / width;
      for (let dy = -1; dy <= 1; dy++) {
        for (let dx = -1; dx <= 1; dx++) {
          const [nx, ny] = [x + dx, y + dy];
          if (nx < 0 || ny < 0 || nx >= width || ny >= height) continue;
          const next = ny * width + nx;
          if (this.settled[next]) continue;
          const cost = this.costs[next]!;
          const total = this.level + (dx && dy ? Math.round(cost * Math.SQRT2) : cost);
          const known = this.total[next]!;
          if (known < 0 || total < known) this.reach(next, total, cell);
        }
      }
    }
    return this.settled[goal] === 1;
  }
}

/** The mean colour of each cell: red, green, blue. */
function cells(
  rgba: Uint8ClampedArray,
  window: Rect,
  step: number,
  width: number,
  height: number,
): Float32Array {
  const colors = new Float32Array(width * height * 3);
  for (let cy = 0, cell = 0; cy < height; cy++) {
    const bottom = Math.min(window.height, (cy + 1) * step);
    for (let cx = 0; cx < width; cx++, cell++) {
      const right = Math.min(window.width, (cx + 1) * step);
      let pixels = 0;
      for (let y = cy * step; y < bottom; y++) {
        for (let x = cx * step; x < right; x++, pixels++) {
          const at = (y * window.width + x) * 4;
          for (let c = 0; c < 3; c++) colors[cell * 3 + c]! += rgba[at + c]!;
        }
      }
      for (let c = 0; c < 3; c++) colors[cell * 3 + c]! /= pixels;
    }
  }
  return colors;
}

/** 1 on the strongest edges, MAX_COST where there is none; by Sobel's gradient. */
function edgeCosts(colors: Float32Array, width: number): Uint8Array {
  const height = colors.length / 3 / width;
  const strengths = new Float32Array(width * height);
  let strongest = 0;
  const row = width * 3;
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      let most = 0;
      for (let c = 0; c < 3; c++) {
        const at = (y * width + x) * 3 + c;
        const value = (offset: number) => colors[at + offset]!;
        const [left, right] = [value(-3), value(3)];
        const [above, below] = [value(-row), value(row)];
        const falling = value(row + 3) - value(-row - 3);
        const rising = value(-row + 3) - value(row - 3);
        const gx = 2 * (right - left) + falling + rising;
        const gy = 2 * (below - above) + falling - rising;
        most = Math.max(most, gx * gx + gy * gy);
      }
      const strength = Math.sqrt(most);
      strengths[y * width + x] = strength;
      strongest = Math.max(strongest, strength);
    }
  }
  return Uint8Array.from(strengths, (strength) => {
    const weak = strongest > 0 ? 1 - strength / strongest : 1;
    return 1 + Math.round((MAX_COST - 1) * weak * weak);
  });
}
