import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Mask } from "../mask";
import { rasterize } from "../rasterize";
import { checkDocument, newDocument, picture, pixels, rectSpans } from "../testing";
import type { Polygon, Size } from "../types";
import { parts } from "./components";
import { maskToPolygons } from "./contours";
import { fillHoles, grow, removeIslands, shrink, smooth } from "./morphology";
import {
  changeMasks,
  convertToMask,
  convertToPolygons,
  duplicate,
  merge,
  nextUnlabeled,
  reorder,
  setCategory,
  splitByLine,
  splitParts,
  subtract,
  trimToNeighbours,
  unlabeledPixels,
} from "./regions";
import { splitMask, splitPolygons } from "./split";

const SIZE = { width: 200, height: 150 };

/** Masks of blobs and noise on a small image that still has several tiles. */
const SMALL: Size = { width: 90, height: 70 };
const mask = fc
  .record({
    boxes: fc.array(
      fc.tuple(fc.nat(89), fc.nat(69), fc.integer({ min: 1, max: 40 }), fc.boolean()),
      {
        maxLength: 6,
      },
    ),
    dots: fc.array(fc.tuple(fc.nat(89), fc.nat(69)), { maxLength: 60 }),
  })
  .map(({ boxes, dots }) => {
    const bits = new Uint8Array(SMALL.width * SMALL.height);
    for (const [x, y, side, set] of boxes) {
      for (let row = y; row < Math.min(70, y + side); row++) {
        bits.fill(+set, row * 90 + x, row * 90 + Math.min(90, x + side));
      }
    }
    for (const [x, y] of dots) bits[y * 90 + x] = 1 - bits[y * 90 + x]!;
    return Mask.fromBitmap(SMALL, { x: 0, y: 0, ...SMALL }, bits);
  });

const same = (one: Mask, bits: Uint8Array) => Buffer.compare(pixels(one), bits) === 0;

describe("masks and polygons", () => {
  test("at tolerance 0 the polygons of a mask have exactly its pixels", () => {
    fc.assert(
      fc.property(mask, (one) => {
        const { polygons, iou } = maskToPolygons(one, 0);
        expect(iou).toBe(1);
        expect(rasterize(polygons, SMALL).counts()).toBe(one.counts());
        expect(polygons).toHaveLength(parts(one).length);
      }),
      { numRuns: 300 },
    );
  });

  test("with a tolerance there are fewer vertices, and the error is told", () => {
    const disc = rasterize(
      [
        [
          Array.from(
            { length: 80 },
            (_, i) => 45 + 30 * (i % 2 ? Math.sin : Math.cos)((Math.floor(i / 2) * Math.PI) / 20),
          ),
        ],
      ],
      SMALL,
    );
    const [exact, rough] = [maskToPolygons(disc, 0), maskToPolygons(disc, 1.5)];
    expect(rough.polygons.flat(2).length).toBeLessThan(exact.polygons.flat(2).length / 3);
    expect(rough.iou).toBeGreaterThan(0.9);
    expect(rough.iou).toBeLessThan(1);
  });

  test("set operations are those of their pixels", () => {
    fc.assert(
      fc.property(
        mask,
        mask,
        fc.integer({ min: -99, max: 99 }),
        fc.integer({ min: -99, max: 99 }),
        (a, b, dx, dy) => {
          const [p, q] = [pixels(a), pixels(b)];
          expect(
            same(
              a.union(b),
              p.map((bit, i) => bit | q[i]!),
            ),
          ).toBe(true);
          expect(
            same(
              a.intersect(b),
              p.map((bit, i) => bit & q[i]!),
            ),
          ).toBe(true);
          expect(
            same(
              a.subtract(b),
              p.map((bit, i) => bit & (1 - q[i]!)),
            ),
          ).toBe(true);
          expect(a.subtract(b).union(a.intersect(b)).equals(a)).toBe(true);
          const moved = pixels(a.shift(dx, dy));
          for (const i of [0, 17, 500, 3333, 6299]) {
            const [x, y] = [(i % 90) - dx, Math.floor(i / 90) - dy];
            expect(moved[i]).toBe(a.has(x, y) ? 1 : 0);
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("morphology", () => {
  /** Whether a pixel within the radius has the value. */
  function near(one: Mask, x: number, y: number, radius: number, value: boolean): boolean {
    const reach = Math.ceil(radius);
    for (let dy = -reach; dy <= reach; dy++) {
      for (let dx = -reach; dx <= reach; dx++) {
        const [px, py] = [x + dx, y + dy];
        if (px < 0 || py < 0 || px >= 90 || py >= 70 || dx * dx + dy * dy > radius * radius)
          continue;
        if (one.has(px, py) === value) return true;
      }
    }
    return false;
  }

  test("grow and shrink are by Euclidean distance", () => {
    fc.assert(
      fc.property(mask, fc.constantFrom(1, 1.5, 3, 5), (one, radius) => {
        const [grown, shrunk] = [pixels(grow(one, radius)), pixels(shrink(one, radius))];
        for (let i = 0; i < grown.length; i += 7) {
          const [x, y] = [i % 90, Math.floor(i / 90)];
          expect(grown[i]).toBe(near(one, x, y, radius, true) ? 1 : 0);
          expect(shrunk[i]).toBe(one.has(x, y) && !near(one, x, y, radius, false) ? 1 : 0);
        }
      }),
      { numRuns: 25 },
    );
  });

  const ring: Polygon[] = [
    [
      [10, 10, 60, 10, 60, 60, 10, 60],
      [20, 20, 50, 20, 50, 50, 20, 50],
    ],
  ];

  test("holes are filled, up to a size", () => {
    const one = rasterize(ring, SMALL);
    expect(fillHoles(one).area()).toBe(2500);
    expect(fillHoles(one, 899).area()).toBe(1600);
    expect(fillHoles(one, 900).area()).toBe(2500);
    const atBorder = rasterize(
      [
        [
          [0, 0, 30, 0, 30, 30, 0, 30],
          [5, 5, 10, 5, 10, 10, 5, 10],
        ],
      ],
      SMALL,
    );
    expect(fillHoles(atBorder).area()).toBe(900);
  });

  test("islands go, the largest part stays", () => {
    const one = rasterize([...ring, [[70, 5, 74, 5, 74, 9, 70, 9]]], SMALL);
    expect(removeIslands(one, 17).area()).toBe(1600);
    expect(removeIslands(one, 16).area()).toBe(1616);
    expect(removeIslands(one, 1e9).area()).toBe(1600);
  });

  test("smoothing drops specks and fills pinholes", () => {
    const bits = pixels(rasterize([[[10, 10, 60, 10, 60, 60, 10, 60]]], SMALL));
    bits[5 * 90 + 80] = 1;
    bits[30 * 90 + 30] = 0;
    const smoothed = smooth(Mask.fromBitmap(SMALL, { x: 0, y: 0, ...SMALL }, bits), 2);
    expect(smoothed.has(80, 5)).toBe(false);
    expect(smoothed.has(30, 30)).toBe(true);
    expect(smoothed.has(11, 30)).toBe(true);
  });
});

describe("split", () => {
  const point = fc.record({
    x: fc.double({ min: -10, max: 100, noNaN: true }),
    y: fc.double({ min: -10, max: 80, noNaN: true }),
  });

  test("the two sides of a mask are the mask", () => {
    fc.assert(
      fc.property(mask, point, point, (one, a, b) => {
        const [left, right] = splitMask(one, a, b);
        expect(left.union(right).equals(one)).toBe(true);
        expect(left.intersect(right).isEmpty).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test("the polygons of both sides cover the same pixels but for those along the line", () => {
    // A comb with a hole, cut into many pieces.
    const comb: Polygon = [
      [5, 5, 85, 5, 85, 65, 70, 65, 70, 30, 60, 30, 60, 65, 40, 65, 40, 35, 30, 35, 30, 65, 5, 65],
      [10, 10, 10, 25, 80, 25, 80, 10],
    ];
    const whole = rasterize([comb], SMALL);
    fc.assert(
      fc.property(point, point, (a, b) => {
        fc.pre(Math.hypot(a.x - b.x, a.y - b.y) > 5);
        const split = splitPolygons([comb], a, b)!;
        expect(split).not.toBeNull();
        const [left, right] = split.map((polygons) => rasterize(polygons, SMALL));
        const [byPixelLeft, byPixelRight] = splitMask(whole, a, b);
        for (const [mine, wanted] of [
          [left!, byPixelLeft],
          [right!, byPixelRight],
        ] as const) {
          const wrong = mine.subtract(wanted).union(wanted.subtract(mine));
          wrong.forEachRun((x, y0, y1) => {
            for (let y = y0; y < y1; y++) {
              const off = (b.x - a.x) * (y + 0.5 - a.y) - (b.y - a.y) * (x + 0.5 - a.x);
              expect(Math.abs(off) / Math.hypot(a.x - b.x, a.y - b.y)).toBeLessThan(1.6);
            }
          });
        }
      }),
      { numRuns: 300 },
    );
  });
});

const square = (x: number, y: number, side: number): Polygon[] => [
  [[x, y, x + side, y, x + side, y + side, x, y + side]],
];

describe("operations on an instance document", () => {
  function open() {
    const doc = newDocument({ kind: "instance" });
    const add = (polygons: readonly Polygon[]) =>
      doc.edit("add", (gesture) => gesture.add({ categoryId: 10, polygons }).uuid);
    return { doc, a: add(square(10, 10, 40)), b: add(square(40, 10, 40)), add };
  }

  /** Does it, checks the document, undoes it and checks that all is as before. */
  function undoable(doc: ReturnType<typeof newDocument>, change: () => void): void {
    const before = picture(doc);
    change();
    checkDocument(doc);
    const after = picture(doc);
    expect(after).not.toBe(before);
    doc.undo();
    expect(picture(doc)).toBe(before);
    doc.redo();
    expect(picture(doc)).toBe(after);
  }

  test("polygon to mask and back keeps every pixel", () => {
    const { doc, a } = open();
    const counts = doc.mask(a).counts();
    undoable(doc, () => convertToMask(doc, a));
    expect(doc.region(a)!.geometry.type).toBe("mask");
    undoable(doc, () => expect(convertToPolygons(doc, a, 0)).toBe(1));
    expect(doc.mask(a).counts()).toBe(counts);
    const corners = [50, 10, 50, 50, 10, 50, 10, 10];
    expect(doc.stored(a)!.geometry).toEqual({ type: "polygons", polygons: [[corners]] });
  });

  test("merge keeps vertices where all are polygons", () => {
    const { doc, a, b } = open();
    undoable(doc, () => merge(doc, [a, b]));
    expect(doc.regions).toHaveLength(1);
    expect(doc.region(a)).toMatchObject({ area: 70 * 40, geometry: { type: "polygons" } });
  });

  test("merge of a mask and a polygon is a mask", () => {
    const { doc, a, b } = open();
    convertToMask(doc, a);
    undoable(doc, () => merge(doc, [b, a]));
    expect(doc.region(b)).toMatchObject({ area: 70 * 40, geometry: { type: "mask" } });
  });

  test("subtract leaves what is not under the others", () => {
    const { doc, a, b } = open();
    undoable(doc, () => subtract(doc, [a, b]));
    expect(doc.region(a)!.area).toBe(30 * 40);
    expect(doc.region(b)!.area).toBe(1600);
    expect(() => subtract(doc, [a])).toThrow("Select");
  });

  test("duplicate, order, split, parts", () => {
    const { doc, a, b } = open();
    undoable(doc, () => expect(duplicate(doc, [a, b])).toHaveLength(2));
    undoable(doc, () => reorder(doc, [a], "front"));
    expect(doc.regions.at(-1)!.uuid).toBe(a);
    expect(doc.bySlot(doc.slotAt(45, 20))!.uuid).toBe(a);
    undoable(doc, () => splitByLine(doc, a, { x: 20, y: 0 }, { x: 20, y: 90 }));
    expect(doc.region(a)!.area + doc.regions.at(-1)!.area).toBe(1600);
    convertToMask(doc, b);
    undoable(doc, () => splitByLine(doc, b, { x: 0, y: 25 }, { x: 90, y: 25 }));
    expect(doc.region(b)!.area).toBe(40 * 25);
    expect(() => splitByLine(doc, b, { x: 0, y: 0 }, { x: 9, y: 0 })).toThrow("does not cut");
    doc.edit("cut in two", (gesture) =>
      gesture.erase(b, rectSpans(SIZE, { x: 55, y: 0, width: 5, height: 150 })),
    );
    undoable(doc, () => expect(splitParts(doc, b)).toHaveLength(1));
  });

  test("trimmed to its neighbours there is neither gap nor overlap", () => {
    const { doc, a, add } = open();
    const c = add(square(10, 53, 40));
    undoable(doc, () => trimToNeighbours(doc, a, 4));
    const mine = doc.mask(a);
    for (const { uuid } of doc.regions) {
      if (uuid !== a) expect(mine.intersect(doc.mask(uuid)).isEmpty).toBe(true);
    }
    // The gap of three rows between a and c is closed between them, and nowhere else.
    for (let x = 14; x < 36; x++) for (let y = 50; y < 53; y++) expect(mine.has(x, y)).toBe(true);
    expect(mine.has(5, 30)).toBe(false);
    expect(doc.region(c)!.area).toBe(1600);
  });
});

describe("operations on an exclusive document", () => {
  function open(kind: "semantic" | "panoptic" = "semantic") {
    const doc = newDocument({ kind });
    const add = (categoryId: number, x: number) =>
      doc.edit("add", (gesture) => {
        const { uuid } = gesture.add({ categoryId, source: "brush" });
        gesture.paint(uuid, rectSpans(SIZE, { x, y: 10, width: 20, height: 20 }));
        return uuid;
      });
    return { doc, a: add(1, 10), b: add(2, 40) };
  }

  test("a region that changes to a category that is there joins its region", () => {
    const { doc, a, b } = open();
    setCategory(doc, [a], 2);
    expect(doc.region(a)).toBeNull();
    expect(doc.region(b)!.area).toBe(800);
    checkDocument(doc);
    doc.undo();
    setCategory(doc, [a], 3);
    expect(doc.region(a)).toMatchObject({ categoryId: 3, area: 400 });
  });

  test("growing takes pixels from neighbours unless they are locked", () => {
    const { doc, a, b } = open();
    const locks = new Uint8Array(65536).fill(1);
    locks[doc.region(b)!.slot] = 0;
    changeMasks(doc, "Grow", [a], (one) => grow(one, 15), locks);
    expect(doc.region(b)!.area).toBe(400);
    changeMasks(doc, "Grow", [a], (one) => grow(one, 15));
    expect(doc.region(b)!.area).toBeLessThan(400);
    checkDocument(doc);
  });

  test("unlabeled pixels are counted and found one area after the other", () => {
    const { doc } = open();
    expect(unlabeledPixels(doc)).toBe(200 * 150 - 800);
    const all = newDocument({ size: { width: 30, height: 20 } });
    all.edit("fill", (gesture) => {
      const { uuid } = gesture.add({ categoryId: 1 });
      gesture.paint(uuid, rectSpans(all.size, { x: 0, y: 0, width: 30, height: 20 }));
    });
    expect(nextUnlabeled(all, null)).toBeNull();
    all.edit("holes", (gesture) => {
      gesture.erase(null, rectSpans(all.size, { x: 3, y: 2, width: 4, height: 5 }));
      gesture.erase(null, rectSpans(all.size, { x: 20, y: 12, width: 2, height: 2 }));
    });
    expect(nextUnlabeled(all, null)).toEqual({ x: 3, y: 2, width: 4, height: 5 });
    expect(nextUnlabeled(all, { x: 29, y: 11 })).toEqual({ x: 20, y: 12, width: 2, height: 2 });
    expect(nextUnlabeled(all, { x: 29, y: 19 })).toEqual({ x: 3, y: 2, width: 4, height: 5 });
  });

  test("what such a project cannot have is refused in plain words, and nothing changes", () => {
    const { doc, a } = open();
    const before = picture(doc);
    expect(() => convertToPolygons(doc, a, 0)).toThrow("mask");
    expect(() => duplicate(doc, [a])).toThrow("one region only");
    expect(() => splitByLine(doc, a, { x: 20, y: 0 }, { x: 20, y: 90 })).toThrow(
      "one region per category",
    );
    expect(picture(doc)).toBe(before);
    expect(doc.gesture).toBeNull();
  });
});
