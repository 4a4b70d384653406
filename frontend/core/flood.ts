import { Mask, MaskWriter } from "./mask";
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
  const { mask } = writer;
  const [right, bottom] = [window.x + window.width, window.y + window.height];
  const wanted = (px: number, py: number) => !mask.has(px, py) && same(px, py);
  const stack = [x, y];
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
  writer.finish();
  return mask;
}
