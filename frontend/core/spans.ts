import type { Mask } from "./mask";
import type { PointerSample, Rect, Size } from "./types";

/** Vertical runs of pixels inside an image: what brushes and fills paint. */
export class Spans {
  /** x, y0, y1 of each, y1 excluded. */
  data = new Int32Array(3 * 256);
  length = 0;

  constructor(readonly size: Size) {}

  static fromMask(mask: Mask): Spans {
    const spans = new Spans(mask.size);
    mask.forEachRun((x, y0, y1) => spans.add(x, y0, y1));
    return spans;
  }

  /** Cuts the run to the image; float ends are those of pixel centres covered. */
  add(x: number, y0: number, y1: number): void {
    const from = Math.max(0, y0);
    const to = Math.min(this.size.height, y1);
    if (x < 0 || x >= this.size.width || from >= to) return;
    const at = this.length * 3;
    if (at === this.data.length) {
      const larger = new Int32Array(at * 2);
      larger.set(this.data);
      this.data = larger;
    }
    this.data[at] = x;
    this.data[at + 1] = from;
    this.data[at + 2] = to;
    this.length++;
  }

  /** Pixels, where no two overlap. */
  area(): number {
    let sum = 0;
    for (let i = 0; i < this.length * 3; i += 3) sum += this.data[i + 2]! - this.data[i + 1]!;
    return sum;
  }

  bounds(): Rect | null {
    if (this.length === 0) return null;
    let [x0, y0, x1, y1] = [Infinity, Infinity, -1, -1];
    for (let i = 0; i < this.length * 3; i += 3) {
      x0 = Math.min(x0, this.data[i]!);
      x1 = Math.max(x1, this.data[i]! + 1);
      y0 = Math.min(y0, this.data[i + 1]!);
      y1 = Math.max(y1, this.data[i + 2]!);
    }
    return { x: x0, y: y0, width: x1 - x0, height: y1 - y0 };
  }
}

export interface Nib {
  readonly shape: "round" | "square";
  /** Image pixels at full pressure. */
  readonly radius: number;
  readonly pressure: boolean;
}

/**
 * The pixels that a nib covers on its way along `samples`, without gaps. A pixel counts when its
 * centre is covered; the pixel under the pointer always does. `from` is the last sample of the
 * event before: what the nib covered there is left out, so the work follows the new pixels.
 */
export function stroke(
  spans: Spans,
  nib: Nib,
  samples: readonly PointerSample[],
  from: PointerSample | null,
): void {
  let last = from;
  for (const sample of samples) {
    const radius = nibRadius(nib, sample);
    sweep(
      spans,
      nib.shape,
      last ?? sample,
      sample,
      last ? nibRadius(nib, last) : radius,
      radius,
      last !== null,
    );
    spans.add(Math.floor(sample.x), Math.floor(sample.y), Math.floor(sample.y) + 1);
    last = sample;
  }
}

export function nibRadius(nib: Nib, sample: PointerSample): number {
  return nib.pressure ? Math.max(0.5, nib.radius * Math.min(1, sample.pressure * 2)) : nib.radius;
}

interface Interval {
  low: number;
  high: number;
}

function sweep(
  spans: Spans,
  shape: Nib["shape"],
  a: PointerSample,
  b: PointerSample,
  ra: number,
  rb: number,
  started: boolean,
): void {
  const section = shape === "round" ? discSection : squareSection;
  const between = shape === "round" ? trapezoid(a, b, ra, rb) : hexagon(a, b, ra, rb);
  const first = Math.max(0, Math.floor(Math.min(a.x - ra, b.x - rb)));
  const last = Math.min(spans.size.width - 1, Math.ceil(Math.max(a.x + ra, b.x + rb)));
  for (let x = first; x <= last; x++) {
    const start = section(a, ra, x + 0.5);
    const whole = hull(hull(start, section(b, rb, x + 0.5)), polygonSection(between, x + 0.5));
    if (!whole) continue;
    // A pixel is covered when its centre, y + 0.5, is.
    const [low, high] = [Math.ceil(whole.low - 0.5), Math.floor(whole.high - 0.5) + 1];
    if (!started || !start) {
      spans.add(x, low, high);
      continue;
    }
    spans.add(x, low, Math.ceil(start.low - 0.5));
    spans.add(x, Math.floor(start.high - 0.5) + 1, high);
  }
}

function hull(a: Interval | null, b: Interval | null): Interval | null {
  if (!a || !b) return a ?? b;
  return { low: Math.min(a.low, b.low), high: Math.max(a.high, b.high) };
}

function discSection(centre: PointerSample, radius: number, x: number): Interval | null {
  const rest = radius * radius - (x - centre.x) ** 2;
  if (rest < 0) return null;
  const half = Math.sqrt(rest);
  return { low: centre.y - half, high: centre.y + half };
}

function squareSection(centre: PointerSample, radius: number, x: number): Interval | null {
  if (Math.abs(x - centre.x) > radius) return null;
  return { low: centre.y - radius, high: centre.y + radius };
}

/** The corners of what a disc passes between its two ends. */
function trapezoid(a: PointerSample, b: PointerSample, ra: number, rb: number): number[] {
  const length = Math.hypot(b.x - a.x, b.y - a.y);
  if (length === 0) return [];
  const nx = (a.y - b.y) / length;
  const ny = (b.x - a.x) / length;
  return [
    ...[a.x + nx * ra, a.y + ny * ra, b.x + nx * rb, b.y + ny * rb],
    ...[b.x - nx * rb, b.y - ny * rb, a.x - nx * ra, a.y - ny * ra],
  ];
}

/** The same for a square: the two pairs of corners that lie outermost across the way. */
function hexagon(a: PointerSample, b: PointerSample, ra: number, rb: number): number[] {
  const side = (b.x - a.x) * (b.y - a.y) > 0 ? -1 : 1;
  return [
    ...[a.x - ra, a.y - side * ra, b.x - rb, b.y - side * rb],
    ...[b.x + rb, b.y + side * rb, a.x + ra, a.y + side * ra],
  ];
}

/** Where the vertical line at x meets a convex polygon. */
function polygonSection(corners: readonly number[], x: number): Interval | null {
  let section: Interval | null = null;
  for (let i = 0; i < corners.length; i += 2) {
    const j = (i + 2) % corners.length;
    const [x0, y0, x1, y1] = [corners[i]!, corners[i + 1]!, corners[j]!, corners[j + 1]!];
    if (x < Math.min(x0, x1) || x > Math.max(x0, x1) || x0 === x1) continue;
    const y = y0 + ((y1 - y0) * (x - x0)) / (x1 - x0);
    section = hull(section, { low: y, high: y });
  }
  return section;
}
