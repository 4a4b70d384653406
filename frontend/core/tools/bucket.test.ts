import { describe, expect, test } from "vitest";
import { checkDocument } from "../testing";
import { ALT, Bench } from "./testing";

describe("bucket", () => {
  test("the bucket fills an enclosed area and nothing else", () => {
    const bench = new Bench("rectangle");
    bench.drag([
      [10, 10],
      [90, 90],
    ]);
    bench.drag(
      [
        [20, 20],
        [80, 80],
      ],
      ALT,
    );
    bench.take("bucket");
    bench.view.set({ categoryId: 2 });
    bench.click(50, 50);
    expect(bench.doc.only(2)!.area).toBe(3600);
    bench.click(500, 500);
    bench.view.set({ categoryId: 3 });
    bench.click(150, 100);
    expect(bench.doc.only(3)!.area).toBe(200 * 150 - 6400);
    checkDocument(bench.doc);
  });
});
