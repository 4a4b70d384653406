import { describe, expect, test } from "vitest";
import { checkDocument } from "../testing";
import { ALT, Bench } from "./testing";

describe("lasso", () => {
  test("a lasso fills what it circles, with Alt it erases", () => {
    const bench = new Bench("lasso");
    bench.drag([
      [10, 10],
      [50, 10],
      [50, 50],
      [10, 50],
    ]);
    expect(bench.doc.regions[0]!.area).toBe(1600);
    bench.drag(
      [
        [10, 10],
        [50, 10],
        [50, 30],
        [10, 30],
      ],
      ALT,
    );
    expect(bench.doc.regions[0]!.area).toBe(800);
  });

  test("a lasso replaces one category by another in what it circles, and nothing else", () => {
    const bench = new Bench("rectangle");
    for (const [categoryId, x] of [
      [1, 20],
      [2, 60],
    ] as const) {
      bench.view.set({ categoryId });
      bench.drag([
        [x, 20],
        [x + 40, 60],
      ]);
    }
    bench.take("lasso");
    bench.view.set({ categoryId: 3, onlyOver: 2 });
    bench.drag([
      [10, 10],
      [80, 10],
      [80, 100],
      [10, 100],
    ]);
    expect([1, 2, 3].map((id) => bench.doc.only(id)!.area)).toEqual([1600, 800, 800]);
    checkDocument(bench.doc);
  });
});
