import { describe, expect, test } from "vitest";
import { Bench, SHIFT } from "./testing";

describe("rectangle", () => {
  test("a rectangle is a polygon of four, shift makes it a square, a click makes nothing", () => {
    const bench = new Bench("rectangle", { kind: "instance" });
    bench.drag([
      [10, 10],
      [50, 30],
    ]);
    bench.drag(
      [
        [10, 60],
        [50, 70],
      ],
      SHIFT,
    );
    bench.click(100, 100);
    expect(bench.doc.regions.map(({ area }) => area)).toEqual([800, 1600]);
  });
});
