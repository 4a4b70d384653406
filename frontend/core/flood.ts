import type { LabelMap } from "./labelmap";
import { FULL, Mask, MaskWriter, TILE, tileColumns, tileRect } from "./mask";
import type { Rect, Size } from "./types";

/**
 * The 4-connected area around (x, y) inside of `window` (the image by default) for whose pixels
 * `same` says yes. Work follows the area.
 */
export function flood(
  size: Size,
  x: number,
  y: number,
  same: (x: number, y: number) => boolean,
  window: Rect = { x: 0, y: 0, ...size },
): Mask {
  const writer = new MaskWriter(new Mask(size));
  spread(writer, [x, y], same, window);
  writer.finish();
  return writer.mask;
}

/** The 4-connected area around (x, y) that has its label. Work follows the borders of the area. */
export function floodLabel(labels: LabelMap, x: number, y: number): Mask {
  const { size } = labels;
  const slot = labels.get(x, y);
  const writer = new MaskWriter(new Mask(size));
  const { mask } = writer;
  const columns = tileColumns(size);
  const rows = Math.ceil(size.height / TILE);
  const whole = new Set<number>();
  const same = (px: number, py: number) => labels.get(px, py) === slot;
  /** By tile: pixels to begin at, x and y in turn. Tiles with one label need none. */
  const waiting = new Map<number, number[]>([[(y >> 6) * columns + (x >> 6), [x, y]]]);
  for (const [index, seeds] of waiting) {
    waiting.delete(index);
    const box = tileRect(index, size);
    const plain = labels.plainAt(index);
    if (plain === null) spread(writer, seeds, same, box);
    else if (plain !== slot || whole.has(index)) continue;
    else whole.add(index);
    const [tx, ty] = [index % columns, Math.floor(index / columns)];
    const covers = (px: number, py: number) => plain !== null || mask.has(px, py);
    for (const [dx, dy] of [
      [-1, 0],
      [1, 0],
      [0, -1],
      [0, 1],
    ] as const) {
      const [nx, ny] = [tx + dx, ty + dy];
      if (nx < 0 || ny < 0 || nx >= columns || ny >= rows) continue;
      const next = ny * columns + nx;
      if (whole.has(next)) continue;
      const found = waiting.get(next) ?? [];
      const length = dx ? box.height : box.width;
      for (let i = 0; i < length; i++) {
        const px = dx ? (dx < 0 ? box.x : box.x + box.width - 1) : box.x + i;
        const py = dy ? (dy < 0 ? box.y : box.y + box.height - 1) : box.y + i;
        const [qx, qy] = [px + dx, py + dy];
        if (covers(px, py) && same(qx, qy) && !mask.has(qx, qy)) found.push(qx, qy);
      }
      if (found.length > 0) waiting.set(next, found);
    }
  }
  writer.finish();
  for (const index of whole) {
    const { x: left, y: top, width, height } = tileRect(index, size);
    if (width === TILE && height === TILE) mask.tiles.set(index, FULL);
    else {
      const edge = new MaskWriter(mask);
      for (let px = left; px < left + width; px++) edge.set(px, top, top + height);
      edge.finish();
    }
  }
  return mask;
}

/** Sets what is connected to the pixels of `stack` (x and y in turn) and not set yet. */
function spread(
  writer: MaskWriter,
  stack: number[],
  same: (x: number, y: number) => boolean,
  window: Rect,
): void {
  const { mask } = writer;
  const [right, bottom] = [window.x + window.width, window.y + window.height];
  const wanted = (px: number, py: number) => !mask.has(px, py) && same(px, py);
  while (stack.length > 0) {
    const seedY = stack.pop()!;
    const column = stack.pop()!;
    if (!wanted(column, seedY)) continue;
    let top = seedY;
    while (top > window.y && wanted(column, top - 1)) top--;
    let end = seedY + 1;
    while (end < bottom && wanted(column, end)) end++;
    writer.set(column, top, end);
    for (const side of [column - 1, column + 1]) {
      if (side < window.x || side >= right) continue;
      for (let row = top; row < end; row++) {
        if (!wanted(side, row)) continue;
        stack.push(side, row);
        while (row + 1 < end && wanted(side, row + 1)) row++;
      }
    }
  }
}
