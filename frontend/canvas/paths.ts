import { countsToRuns } from "../core/rle";
import type { Geometry, Size } from "../core/types";

/** Pixels on a side of the grid that a mask's outline is traced on; larger masks are thinned. */
const MAX_SIDE = 1024;

const known = new WeakMap<Geometry, Path2D>();
const recent = new Map<string, Path2D>();
const RECENT = 32;

/** The outline of a geometry in image pixels; fill it with "evenodd". */
export function pathOf(geometry: Geometry, size: Size): Path2D {
  let path = known.get(geometry);
  if (!path) {
    path =
      geometry.type === "mask"
        ? tracePath(geometry.counts, size)
        : polygonPath(geometry.polygons.flat());
    known.set(geometry, path);
  }
  return path;
}

/** The same for masks that come without an object of their own, such as a tool's preview. */
export function maskPath(counts: string, size: Size): Path2D {
  const path = recent.get(counts) ?? tracePath(counts, size);
  recent.delete(counts);
  recent.set(counts, path);
  for (const oldest of recent.keys()) {
    if (recent.size <= RECENT) break;
    recent.delete(oldest);
  }
  return path;
}

export function polygonPath(rings: readonly (readonly number[])[], closed = true): Path2D {
  const path = new Path2D();
  for (const ring of rings) {
    for (let i = 0; i + 1 < ring.length; i += 2) {
      if (i === 0) path.moveTo(ring[0] ?? 0, ring[1] ?? 0);
      else path.lineTo(ring[i] ?? 0, ring[i + 1] ?? 0);
    }
    if (closed) path.closePath();
  }
  return path;
}

function tracePath(counts: string, size: Size): Path2D {
  const path = new Path2D();
  const grid = decode(counts, size);
  if (!grid) return path;
  const { x, y, step, width, height, pixels } = grid;
  const at = (px: number, py: number): boolean =>
    px >= 0 && py >= 0 && px < width && py < height && pixels[py * width + px] === 1;
  const seen = new Uint8Array(width * height);
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      if (!at(column, row) || at(column, row - 1) || seen[row * width + column]) continue;
      const corners = trace(column, row, at, (px, py) => {
        seen[py * width + px] = 1;
      });
      addSmooth(path, corners, (px, py) => [x + px * step, y + py * step]);
    }
  }
  return path;
}

/** By direction (east, south, west, north): the step, and the pixels ahead on the right and left. */
const STEP_X = [1, 0, -1, 0];
const STEP_Y = [0, 1, 0, -1];
const RIGHT_X = [0, -1, -1, 0];
const RIGHT_Y = [0, 0, -1, -1];
const LEFT_X = [0, 0, -1, -1];
const LEFT_Y = [-1, 0, 0, -1];

/**
 * Walks along the edges of pixels with the inside on the right, from the top edge of one, and
 * returns the corners [x0, y0, x1, y1, …]. `mark` hears of every pixel whose top edge was passed.
 */
function trace(
  startX: number,
  startY: number,
  at: (x: number, y: number) => boolean,
  mark: (x: number, y: number) => void,
): number[] {
  const corners: number[] = [];
  let x = startX;
  let y = startY;
  let direction = 0;
  do {
    if (direction === 0) mark(x, y);
    x += STEP_X[direction]!;
    y += STEP_Y[direction]!;
    if (!at(x + RIGHT_X[direction]!, y + RIGHT_Y[direction]!)) direction = (direction + 1) % 4;
    else if (at(x + LEFT_X[direction]!, y + LEFT_Y[direction]!)) direction = (direction + 3) % 4;
    else continue;
    corners.push(x, y);
  } while (x !== startX || y !== startY || direction !== 0);
  return corners;
}

/** Adds a loop with its corners cut by half a pixel, so that slopes are lines and not stairs. */
function addSmooth(
  path: Path2D,
  corners: readonly number[],
  toImage: (x: number, y: number) => [number, number],
): void {
  const count = corners.length;
  for (let i = 0; i < count; i += 2) {
    const [x0, y0] = [corners[i]!, corners[i + 1]!];
    const [x1, y1] = [corners[(i + 2) % count]!, corners[(i + 3) % count]!];
    const [dx, dy] = [Math.sign(x1 - x0) / 2, Math.sign(y1 - y0) / 2];
    if (i === 0) path.moveTo(...toImage(x0 + dx, y0 + dy));
    else path.lineTo(...toImage(x0 + dx, y0 + dy));
    path.lineTo(...toImage(x1 - dx, y1 - dy));
  }
  path.closePath();
}

interface Grid {
  /** Image position of the first pixel; `step` is image pixels per grid pixel. */
  readonly x: number;
  readonly y: number;
  readonly step: number;
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

/** The box around a mask as a row-major grid of 0 and 1; null for an empty mask. */
function decode(counts: string, size: Size): Grid | null {
  const pieces: number[] = []; // column, first row, end row
  let [left, top, right, bottom] = [size.width, size.height, 0, 0];
  let position = 0;
  countsToRuns(counts, size).forEach((run, index) => {
    const end = position + run;
    while (index % 2 === 1 && position < end) {
      const column = Math.floor(position / size.height);
      const from = position - column * size.height;
      const to = Math.min(size.height, from + end - position);
      pieces.push(column, from, to);
      left = Math.min(left, column);
      right = Math.max(right, column + 1);
      top = Math.min(top, from);
      bottom = Math.max(bottom, to);
      position += to - from;
    }
    position = end;
  });
  if (pieces.length === 0) return null;
  const step = Math.ceil(Math.max(right - left, bottom - top) / MAX_SIDE);
  const width = Math.ceil((right - left) / step);
  const height = Math.ceil((bottom - top) / step);
  const pixels = new Uint8Array(width * height);
  for (let i = 0; i < pieces.length; i += 3) {
    const column = pieces[i]! - left;
    if (column % step !== 0) continue;
    const from = Math.ceil((pieces[i + 1]! - top) / step);
    const to = Math.ceil((pieces[i + 2]! - top) / step);
    for (let row = from; row < to; row += 1) pixels[row * width + column / step] = 1;
  }
  return { x: left, y: top, step, width, height, pixels };
}
