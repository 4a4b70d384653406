import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { trimToNeighbours } from "../ops/regions";
import { rasterize } from "../rasterize";
import { checkDocument, newDocument, picture } from "../testing";
import { finishOutline } from "./common";
import { ALT, Bench, CTRL, NONE } from "./testing";

/** Two squares of 40 pixels beside each other; they share the edge from (60, 20) to (60, 60). */
describe("shared borders", () => {
  let bench: Bench;
  let left: string;
  let right: string;
  let before: string;

  const ring = (uuid: string) => {
    const { geometry } = bench.doc.region(uuid)!;
    return geometry.type === "polygons" ? geometry.polygons[0]![0]! : [];
  };
  /** Neither gap nor overlap: together they cover the 80 × 40 pixels. */
  const together = () => {
    const [a, b] = [bench.doc.mask(left), bench.doc.mask(right)];
    expect(a.intersect(b).isEmpty).toBe(true);
    expect(a.union(b).area()).toBe(80 * 40);
  };

  beforeEach(() => {
    bench = new Bench("select", { kind: "instance" });
    left = bench.add(1, 20, 20, 40);
    right = bench.add(1, 60, 20, 40);
    bench.view.select(left);
    before = picture(bench.doc);
  });

  test("a shared vertex moves in both, with Ctrl in one", () => {
    bench.drag([
      [60, 60],
      [70, 60],
    ]);
    expect(ring(left)).toEqual([20, 20, 60, 20, 70, 60, 20, 60]);
    expect(ring(right)).toEqual([60, 20, 100, 20, 100, 60, 70, 60]);
    together();
    bench.drag(
      [
        [70, 60],
        [75, 75],
      ],
      CTRL,
    );
    expect(ring(left)).toEqual([20, 20, 60, 20, 75, 75, 20, 60]);
    expect(ring(right)).toEqual([60, 20, 100, 20, 100, 60, 70, 60]);
    bench.doc.undo();
    bench.doc.undo();
    expect(picture(bench.doc)).toBe(before);
  });

  test("a vertex added on a shared edge is in both", () => {
    bench.drag([
      [60, 40],
      [65, 40],
      [70, 45],
    ]);
    expect(ring(left)).toEqual([20, 20, 60, 20, 70, 45, 60, 60, 20, 60]);
    expect(ring(right)).toEqual([60, 20, 100, 20, 100, 60, 60, 60, 70, 45]);
    together();
    bench.click(70, 45, ALT);
    expect(ring(left)).toEqual([20, 20, 60, 20, 60, 60, 20, 60]);
    expect(ring(right)).toEqual([60, 20, 100, 20, 100, 60, 60, 60]);
    together();
    checkDocument(bench.doc);
  });

  test("a vertex added with Ctrl is in one", () => {
    bench.drag(
      [
        [60, 40],
        [50, 40],
      ],
      CTRL,
    );
    expect(ring(left)).toHaveLength(10);
    expect(ring(right)).toHaveLength(8);
  });

  test("a shared edge moves in both; Escape takes it back", () => {
    bench.drag([
      [60, 30],
      [65, 30],
      [80, 30],
    ]);
    expect(ring(left)).toEqual([20, 20, 80, 20, 80, 60, 20, 60]);
    expect(ring(right)).toEqual([80, 20, 100, 20, 100, 60, 80, 60]);
    together();
    expect(bench.doc.undo()).toBe("Move edge");
    expect(picture(bench.doc)).toBe(before);
    bench.tool.pointerDown([{ x: 60, y: 30, pressure: 0.5 }], CTRL);
    bench.tool.pointerMove([{ x: 40, y: 30, pressure: 0.5 }], CTRL);
    expect(ring(left)).toEqual([20, 20, 40, 20, 40, 60, 20, 60]);
    expect(ring(right)).toEqual([60, 20, 100, 20, 100, 60, 60, 60]);
    expect(bench.tool.cancel()).toBe(true);
    expect(picture(bench.doc)).toBe(before);
  });

  test("deleting a shared edge makes it one vertex in both", () => {
    bench.click(60, 30);
    expect(bench.key("Delete")).toBe(true);
    expect(ring(left)).toEqual([20, 20, 60, 40, 20, 60]);
    expect(ring(right)).toEqual([100, 20, 100, 60, 60, 40]);
    expect(bench.doc.undo()).toBe("Delete edge");
    expect(picture(bench.doc)).toBe(before);
    bench.click(20, 30, ALT);
    expect(ring(left)).toEqual([60, 20, 60, 60, 20, 40]);
    expect(ring(right)).toHaveLength(8);
  });

  test("nothing is deleted where a neighbour would be left with two vertices", () => {
    const third = bench.doc.edit("add", (gesture) =>
      gesture.add({ categoryId: 1, polygons: [[[60, 60, 80, 90, 40, 90]]] }),
    ).uuid;
    bench.click(60, 60, ALT);
    expect(bench.said).toHaveLength(1);
    expect(ring(left)).toHaveLength(8);
    expect(ring(third)).toHaveLength(6);
  });

  test("locked and hidden neighbours stay", () => {
    bench.view.set({ lockedRegions: new Set([right]) });
    bench.drag([
      [60, 60],
      [50, 60],
    ]);
    expect(ring(left)).toEqual([20, 20, 60, 20, 50, 60, 20, 60]);
    expect(ring(right)).toEqual([60, 20, 100, 20, 100, 60, 60, 60]);
  });

  test("a dragged vertex snaps to the edge of a neighbour, and so does a new outline", () => {
    bench.view.set({ snapDistance: 6 });
    bench.drag(
      [
        [60, 20],
        [63, 33],
      ],
      CTRL,
    );
    expect(ring(left).slice(2, 4)).toEqual([60, 33]);
    bench.take("polygon");
    for (const [x, y] of [
      [104, 30],
      [130, 30],
      [104, 50],
    ] as const) {
      bench.click(x, y);
    }
    bench.key("Enter");
    expect(ring(bench.view.state.selection[0]!)).toEqual([100, 30, 130, 30, 100, 50]);
  });

  test("a polygon drawn along a neighbour gives it its vertices, and they move together", () => {
    bench.take("polygon");
    for (const [x, y] of [
      [102, 30],
      [130, 30],
      [130, 50],
      [99, 50],
    ] as const)
      bench.click(x, y);
    bench.key("Enter");
    const third = bench.view.state.selection[0]!;
    expect(ring(third)).toEqual([100, 30, 130, 30, 130, 50, 100, 50]);
    expect(ring(right)).toEqual([60, 20, 100, 20, 100, 30, 100, 50, 100, 60, 60, 60]);
    bench.take("select");
    bench.drag([
      [100, 30],
      [110, 28],
    ]);
    expect(ring(third).slice(0, 2)).toEqual([110, 28]);
    expect(ring(right).slice(4, 6)).toEqual([110, 28]);
    expect(bench.doc.undo()).toBe("Move vertex");
    expect(bench.doc.undo()).toBe("Draw polygon");
    expect(picture(bench.doc)).toBe(before);
  });

  test("it gets those of the neighbour too", () => {
    bench.take("polygon");
    for (const [x, y] of [
      [40, 60],
      [80, 60],
      [80, 90],
      [40, 90],
    ] as const)
      bench.click(x, y);
    bench.key("Enter");
    const third = bench.view.state.selection[0]!;
    expect(ring(third)).toEqual([40, 60, 60, 60, 80, 60, 80, 90, 40, 90]);
    expect(ring(left)).toEqual([20, 20, 60, 20, 60, 60, 40, 60, 20, 60]);
    expect(ring(right)).toEqual([60, 20, 100, 20, 100, 60, 80, 60, 60, 60]);
  });

  test("a vertex dragged onto the border of a neighbour is shared; not with Ctrl or without", () => {
    const third = bench.add(2, 110, 20, 20);
    bench.view.select(third);
    const dragged = (modifiers = NONE) =>
      bench.drag(
        [
          [110, 40],
          [105, 40],
          [100, 40],
        ],
        modifiers,
      );
    dragged();
    expect(ring(third).slice(6)).toEqual([100, 40]);
    expect(ring(right)).toEqual([60, 20, 100, 20, 100, 40, 100, 60, 60, 60]);
    bench.doc.undo();
    dragged(CTRL);
    expect(ring(third).slice(6)).toEqual([100, 40]);
    expect(ring(right)).toHaveLength(8);
    bench.doc.undo();
    bench.view.set({ sharedBorders: false });
    dragged();
    expect(ring(right)).toHaveLength(8);
  });
});

const WIDTH = 80;
const HEIGHT = 60;
const size = { width: WIDTH, height: HEIGHT };
const float = (min: number, max: number) => fc.double({ min, max, noNaN: true });
/** From the top of the image to its bottom, about in its middle. */
const border = fc
  .array(fc.tuple(float(20, 60), float(1, HEIGHT - 1)), { maxLength: 8 })
  .map((inner) => [[40, 0], ...inner.sort((a, b) => a[1] - b[1]), [40, HEIGHT]].flat());
const reversed = (points: number[]) =>
  Array.from({ length: points.length / 2 }, (_, i) => points.slice(i * 2, i * 2 + 2))
    .reverse()
    .flat();

describe("by the rule of pycocotools", () => {
  test("polygons with the same vertices along a border leave neither gap nor overlap", () => {
    fc.assert(
      fc.property(border, (points) => {
        const one = rasterize([[[0, HEIGHT, 0, 0, ...points]]], size);
        const other = rasterize([[[WIDTH, 0, WIDTH, HEIGHT, ...reversed(points)]]], size);
        expect(one.intersect(other).isEmpty).toBe(true);
        expect(one.union(other).area()).toBe(WIDTH * HEIGHT);
      }),
    );
  });

  test("a neighbour drawn onto any places of an edge leaves neither gap nor overlap", () => {
    const places = fc.uniqueArray(fc.integer({ min: 1, max: 19 }), { minLength: 2, maxLength: 2 });
    fc.assert(
      fc.property(float(10, 70), float(10, 70), places, (top, bottom, [a, b]) => {
        const bench = new Bench("polygon", { kind: "instance", size });
        const { uuid } = bench.doc.edit("add", (gesture) =>
          gesture.add({ categoryId: 1, polygons: [[[0, 0, top, 0, bottom, HEIGHT, 0, HEIGHT]]] }),
        );
        const on = (n: number) => [top + ((bottom - top) * n) / 20, (HEIGHT * n) / 20];
        const [first, last] = [on(Math.min(a!, b!)), on(Math.max(a!, b!))];
        const ring = [...first, WIDTH, first[1]!, WIDTH, last[1]!, ...last];
        finishOutline(bench.context, ring, "polygon", false);
        const made = bench.view.state.selection[0]!;
        const theirs = bench.doc.mask(uuid);
        expect(theirs.intersect(bench.doc.mask(made)).isEmpty).toBe(true);
        // Of the rows that the new one spans wholly every pixel belongs to one of the two.
        const all = theirs.union(bench.doc.mask(made));
        for (let y = Math.ceil(first[1]!); y < Math.floor(last[1]!); y++) {
          for (let x = 0; x < WIDTH; x++) expect(all.has(x, y)).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("what is fitted to its neighbour leaves neither gap nor overlap", () => {
    const jitter = fc.array(float(-3, 3), { minLength: 12, maxLength: 12 });
    fc.assert(
      fc.property(jitter, jitter, (left, right) => {
        const doc = newDocument({ kind: "instance", size });
        const at = (middle: number, by: number[]) =>
          by.flatMap((dx, i) => [middle + dx, (HEIGHT * i) / (by.length - 1)]);
        const [one, other] = doc.edit("add", (gesture) => [
          gesture.add({ categoryId: 1, polygons: [[[0, HEIGHT, 0, 0, ...at(38, left)]]] }),
          gesture.add({
            categoryId: 1,
            polygons: [[[WIDTH, 0, WIDTH, HEIGHT, ...reversed(at(41, right))]]],
          }),
        ]);
        trimToNeighbours(doc, one!.uuid, 10);
        const [mine, theirs] = [doc.mask(one!.uuid), doc.mask(other!.uuid)];
        expect(mine.intersect(theirs).isEmpty).toBe(true);
        expect(mine.union(theirs).area()).toBe(WIDTH * HEIGHT);
      }),
      { numRuns: 60 },
    );
  });
});
