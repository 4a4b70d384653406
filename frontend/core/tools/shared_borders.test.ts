import { beforeEach, describe, expect, test } from "vitest";
import { checkDocument, picture } from "../testing";
import { ALT, Bench, CTRL } from "./testing";

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
});
