import { expect, it } from "vitest";
import { ADDED, difference, heat, MAX_CELLS, OTHER, paint, REMOVED, SAME } from "./difference";
import { Mask } from "./mask";

const size = { width: 130, height: 70 };

function box(category: number, x: number, y: number, width: number, height: number) {
  const mask = Mask.fromBitmap(
    size,
    { x, y, width, height },
    new Uint8Array(width * height).fill(1),
  );
  return { category, geometry: { type: "mask" as const, counts: mask.counts() } };
}

it("paints later shapes over earlier ones, in full and in partial tiles", () => {
  const data = paint(size, [box(3, 0, 0, 130, 70), box(5, 60, 60, 20, 10)]);
  for (let y = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++) {
      const inside = x >= 60 && x < 80 && y >= 60;
      expect(data[y * size.width + x]).toBe(inside ? 5 : 3);
    }
  }
});

it("tells what was added, taken away and named otherwise", () => {
  const base = paint(size, [box(1, 0, 0, 10, 10), box(2, 20, 0, 10, 10)]);
  const now = paint(size, [box(1, 5, 0, 10, 10), box(1, 20, 0, 10, 10)]);
  const found = difference(size, base, now);
  expect(found).toMatchObject({ step: 1, added: 50, removed: 50, other: 100 });
  expect(found.iou).toBeCloseTo(50 / 250);
  expect([2, 7, 12, 25].map((x) => found.cells[x])).toEqual([REMOVED, SAME, ADDED, OTHER]);
  expect(difference(size, now, now).iou).toBe(1);
  const nothing = paint(size, []);
  expect(difference(size, nothing, nothing).iou).toBe(1);
});

it("keeps a single pixel in a picture of many", () => {
  const large = { width: 4001, height: 3001 };
  const base = new Uint16Array(large.width * large.height);
  const now = base.slice();
  now[3000 * large.width + 4000] = 7;
  const found = difference(large, base, now);
  expect(found.cells.length).toBeLessThanOrEqual(MAX_CELLS + found.width + found.height);
  expect(found.cells.at(-1)).toBe(ADDED);
  expect(found.added).toBe(1);
});

it("spreads heat evenly around a change", () => {
  const now = paint(size, [box(1, 40, 30, 1, 1)]);
  const warm = heat(difference(size, paint(size, []), now), 2);
  for (let y = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++) {
      const near = Math.abs(x - 40) <= 2 && Math.abs(y - 30) <= 2;
      expect(warm[y * size.width + x]).toBeCloseTo(near ? 1 / 25 : 0);
    }
  }
});
