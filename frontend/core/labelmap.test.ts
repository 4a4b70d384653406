import fc from "fast-check";
import { expect, test } from "vitest";
import { flood, floodLabel } from "./flood";
import { LabelMap } from "./labelmap";
import { FULL, Mask } from "./mask";
import { newDocument } from "./testing";

const SIZE = { width: 230, height: 150 };

const runs = fc.array(
  fc.record({
    x: fc.integer({ min: 0, max: SIZE.width - 1 }),
    y: fc.integer({ min: 0, max: SIZE.height - 1 }),
    length: fc.integer({ min: 1, max: 150 }),
    slot: fc.integer({ min: 0, max: 3 }),
  }),
  { maxLength: 60 },
);

/** A map with some whole tiles and runs, and the same pixels row by row. */
function drawn(steps: typeof runs extends fc.Arbitrary<infer T> ? T : never) {
  const labels = new LabelMap(SIZE);
  const flat = new Uint16Array(SIZE.width * SIZE.height);
  for (const [index, slot] of [
    [1, 2],
    [5, 3],
    [6, 3],
  ] as const) {
    labels.drawTile(index, FULL, slot);
    for (let y = 0; y < 64; y++) {
      const start = (Math.floor(index / 4) * 64 + y) * SIZE.width + (index % 4) * 64;
      flat.fill(slot, start, start + 64);
    }
  }
  for (const { x, y, length, slot } of steps) {
    const end = Math.min(SIZE.height, y + length);
    labels.fill(x, y, end, slot);
    for (let row = y; row < end; row++) flat[row * SIZE.width + x] = slot;
  }
  return { labels, flat };
}

test("runs and whole tiles are read as they were written", () => {
  fc.assert(
    fc.property(runs, fc.integer({ min: 0, max: 3 }), (steps, slot) => {
      const { labels, flat } = drawn(steps);
      for (const map of [labels, LabelMap.unpack(labels.pack())]) {
        for (let x = 0; x < SIZE.width; x += 1) {
          for (let y = 0; y < SIZE.height; ) {
            const end = map.runEnd(x, y, SIZE.height);
            const label = map.get(x, y);
            if (end < SIZE.height && map.get(x, end) === label) throw new Error("too short");
            for (; y < end; y++) {
              if (flat[y * SIZE.width + x] !== label) throw new Error(`${label} at ${x}, ${y}`);
            }
          }
        }
        const first = flat.indexOf(slot, 1000);
        const found = map.find(slot, 1000 % SIZE.width, Math.floor(1000 / SIZE.width));
        expect(found ? found.y * SIZE.width + found.x : -1).toBe(first);
      }
    }),
    { numRuns: 40 },
  );
});

test("a sample has the pixel in the middle of each texel", () => {
  fc.assert(
    fc.property(
      runs,
      fc.integer({ min: 0, max: 6 }),
      fc.nat(),
      fc.nat(),
      (steps, level, left, top) => {
        const { labels, flat } = drawn(steps);
        const texels = (length: number) => Math.ceil(length / 2 ** level);
        const [x, y] = [left % texels(SIZE.width), top % texels(SIZE.height)];
        const window = { x, y, width: texels(SIZE.width) - x, height: texels(SIZE.height) - y };
        const out = new Uint16Array(window.width * window.height).fill(9);
        const any = labels.sample(level, window, out);
        const middle = (at: number, length: number) =>
          Math.min(at * 2 ** level + Math.floor(2 ** level / 2), length - 1);
        out.forEach((slot, i) => {
          const px = middle(x + Math.floor(i / window.height), SIZE.width);
          const py = middle(y + (i % window.height), SIZE.height);
          if (slot !== flat[py * SIZE.width + px]) throw new Error(`${i}: ${slot}`);
          if (slot && !any) throw new Error("not empty");
        });
      },
    ),
    { numRuns: 100 },
  );
});

test("the area of a label is what a flood of its pixels finds", () => {
  fc.assert(
    fc.property(
      runs,
      fc.integer({ min: 0, max: SIZE.width - 1 }),
      fc.integer({ min: 0, max: SIZE.height - 1 }),
      (steps, x, y) => {
        const { labels } = drawn(steps);
        const slot = labels.get(x, y);
        const expected = flood(SIZE, x, y, (px, py) => labels.get(px, py) === slot);
        expect(floodLabel(labels, x, y).equals(expected)).toBe(true);
      },
    ),
    { numRuns: 100 },
  );
});

test("a gigapixel is filled and emptied tile by tile", () => {
  const size = { width: 32768, height: 32768 };
  const doc = newDocument({ size });
  const all = floodLabel(doc.labels, 5, 5);
  doc.edit("fill", (gesture) => gesture.paint(gesture.add({ categoryId: 1 }).uuid, all));
  expect(doc.regions[0]!.area).toBe(2 ** 30);
  const dot = Mask.fromBitmap(size, { x: 20000, y: 20000, width: 3, height: 3 }, Array(9).fill(1));
  doc.edit("dot", (gesture) => gesture.erase(null, dot));
  expect(doc.labels.find(0, 0, 0)).toEqual({ x: 20000, y: 20000 });
  expect(doc.regions[0]!.area).toBe(2 ** 30 - 9);
  doc.undo();
  doc.undo();
  expect(doc.regions.length).toBe(0);
  expect(doc.labels.plainAt(0)).toBe(0);
});
