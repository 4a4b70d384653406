import { describe, expect, test } from "vitest";
import { checkDocument, picture } from "../testing";
import { at, Bench, NONE, SHIFT } from "./testing";

describe("brush", () => {
  test("a fast stroke has no gaps and is one step", () => {
    const bench = new Bench("brush");
    bench.drag([
      [20, 75],
      [180, 75],
    ]);
    for (let x = 16; x < 185; x++) expect(bench.doc.slotAt(x, 75)).not.toBe(0);
    // The area of a capsule: 160 × 10 and a disc of radius 5.
    expect(bench.doc.regions[0]!.area).toBeGreaterThan(1600 + 60);
    expect(bench.doc.regions[0]!.area).toBeLessThan(1600 + 100);
    expect(bench.doc.undo()).toBe("Brush stroke");
    expect(bench.doc.regions).toHaveLength(0);
  });

  test("a stroke in pieces is the same as its pieces in one event", () => {
    const points = [
      [20, 20],
      [60, 90],
      [61, 90],
      [150, 30],
      [20, 25],
    ] as const;
    for (const brushShape of ["round", "square"] as const) {
      const [one, many] = [
        new Bench("brush", {}, { brushShape }),
        new Bench("brush", {}, { brushShape }),
      ];
      many.drag(points);
      one.tool.pointerDown(
        points.map(([x, y]) => at(x, y)),
        NONE,
      );
      one.tool.pointerUp([at(20, 25)], NONE);
      expect(picture(one.doc)).toBe(picture(many.doc));
      // A pixel of the stroke is as near to the path as the nib says.
      const mask = many.doc.mask(many.doc.regions[0]!.uuid);
      const near = (x: number, y: number) =>
        points.some(([ax, ay], i) => {
          const [bx, by] = points[i + 1] ?? [ax, ay];
          if (brushShape === "round") {
            const length = (bx - ax) ** 2 + (by - ay) ** 2;
            const along = length ? ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length : 0;
            const t = Math.max(0, Math.min(1, along));
            return Math.hypot(ax + t * (bx - ax) - x, ay + t * (by - ay) - y) <= 5;
          }
          // The times at which the nib covers the column, and the row.
          const during = (from: number, to: number, p: number) => {
            if (from === to) return Math.abs(p - from) <= 5 ? [0, 1] : [1, 0];
            const times = [(p - 5 - from) / (to - from), (p + 5 - from) / (to - from)];
            return [Math.max(0, Math.min(...times)), Math.min(1, Math.max(...times))];
          };
          const [h, v] = [during(ax, bx, x), during(ay, by, y)];
          return Math.max(h[0]!, v[0]!) <= Math.min(h[1]!, v[1]!);
        });
      let wrong = 0;
      for (let y = 0; y < 150; y++) {
        for (let x = 0; x < 200; x++) wrong += +(mask.has(x, y) !== near(x + 0.5, y + 0.5));
      }
      expect(wrong).toBeLessThan(3);
    }
  });

  test("the smallest nib still paints the pixel under it", () => {
    const bench = new Bench("brush", {}, { brushRadius: 0.1 });
    bench.click(33.9, 44.1);
    expect(bench.doc.regions[0]).toMatchObject({
      area: 1,
      bbox: { x: 33, y: 44, width: 1, height: 1 },
    });
  });

  test("pressure makes it thinner, unless that is off", () => {
    const areas = [true, false].map((brushPressure) => {
      const bench = new Bench("brush", {}, { brushRadius: 20, brushPressure });
      bench.tool.pointerDown([at(100, 75, 0.1)], NONE);
      bench.tool.pointerUp([at(100, 75, 0)], NONE);
      return bench.doc.regions[0]!.area;
    });
    expect(areas[0]).toBeLessThan(70);
    expect(areas[1]).toBeGreaterThan(1200);
  });

  test("shift draws a straight line from the last stroke", () => {
    const bench = new Bench("brush");
    bench.click(20, 20);
    bench.click(150, 100, SHIFT);
    expect(bench.doc.slotAt(85, 60)).not.toBe(0);
  });

  test("Escape takes the stroke and the new region back", () => {
    const bench = new Bench("brush", { kind: "instance" }, { selection: ["other"] });
    const before = picture(bench.doc);
    bench.tool.pointerDown([at(20, 20)], NONE);
    bench.tool.pointerMove([at(90, 90)], NONE);
    expect(bench.tool.cancel()).toBe(true);
    expect(picture(bench.doc)).toBe(before);
    expect(bench.view.state.selection).toEqual(["other"]);
    bench.tool.pointerUp([at(90, 90)], NONE);
    expect(bench.doc.history.undoTitle).toBeNull();
  });

  test("instance: goes on with the selected mask, else makes a new one", () => {
    const bench = new Bench("brush", { kind: "instance" });
    bench.click(20, 20);
    bench.click(30, 20);
    expect(bench.doc.regions).toHaveLength(1);
    bench.view.select();
    bench.click(30, 20);
    expect(bench.doc.regions).toHaveLength(2);
    checkDocument(bench.doc);
  });

  test("panoptic: stuff is one region, things are many", () => {
    const bench = new Bench("brush", { kind: "panoptic" });
    for (const categoryId of [1, 10]) {
      bench.view.set({ categoryId });
      bench.view.select();
      bench.click(20 + categoryId * 5, 20);
      bench.view.select();
      bench.click(20 + categoryId * 5, 80);
    }
    expect(bench.doc.regions.map(({ categoryId }) => categoryId).sort()).toEqual([1, 10, 10]);
  });

  test("paints only on unlabeled pixels, and not over locked categories, when told so", () => {
    const bench = new Bench("brush");
    bench.click(50, 50);
    const { area } = bench.doc.regions[0]!;
    bench.view.set({ categoryId: 2, onlyUnlabeled: true });
    bench.click(55, 50);
    const [first, second] = bench.doc.regions;
    expect(first!.area).toBe(area);
    expect(second!.area).toBeLessThan(area);
    bench.view.set({ onlyUnlabeled: false, lockedCategories: new Set([1]) });
    bench.click(52, 50);
    expect(bench.doc.region(first!.uuid)!.area).toBe(area);
    bench.view.set({ categoryId: 1 });
    bench.click(52, 50);
    expect(bench.said).toEqual(["That category is locked."]);
    bench.view.set({ lockedCategories: new Set() });
    bench.click(55, 50);
    expect(bench.doc.region(first!.uuid)!.area).toBeGreaterThan(area);
  });

  test("paints only over the chosen category, when told so", () => {
    const bench = new Bench("brush");
    bench.click(50, 50);
    bench.view.set({ categoryId: 2 });
    bench.click(58, 50);
    const [first, second] = bench.doc.regions.map(({ area }) => area);
    bench.view.set({ categoryId: 3, onlyOver: 2, brushRadius: 30 });
    bench.click(55, 50);
    const areas = bench.doc.regions.map(({ categoryId, area }) => [categoryId, area]);
    expect(areas).toEqual([
      [1, first],
      [3, second],
    ]);
  });

  test("brackets change the size, the overlay shows it", () => {
    const bench = new Bench("brush");
    expect(bench.key("]")).toBe(true);
    expect(bench.view.state.brushRadius).toBe(6);
    bench.key("[");
    bench.tool.pointerMove([at(10, 10)], NONE);
    expect(bench.tool.overlays()).toEqual([
      { kind: "circle", x: 10, y: 10, radius: 5, style: "brush" },
    ]);
  });
});

describe("eraser", () => {
  test("semantic: erases whatever is there, and a region without pixels goes", () => {
    const bench = new Bench("brush");
    bench.click(50, 50);
    bench.take("eraser");
    bench.view.set({ brushRadius: 2 });
    const { area } = bench.doc.regions[0]!;
    bench.click(50, 50);
    expect(bench.doc.regions[0]!.area).toBeLessThan(area);
    bench.view.set({ brushRadius: 20, onlyUnlabeled: true });
    bench.click(50, 50);
    expect(bench.doc.regions).toHaveLength(0);
  });

  test("instance: erases the selected mask only, and what lies below shows", () => {
    const bench = new Bench("brush", { kind: "instance" });
    bench.click(50, 50);
    const [below] = bench.doc.regions;
    bench.view.select();
    bench.click(50, 50);
    bench.take("eraser");
    bench.view.set({ brushRadius: 2 });
    bench.click(50, 50);
    expect(bench.doc.bySlot(bench.doc.slotAt(50, 50))!.uuid).toBe(below!.uuid);
    expect(bench.doc.slotAt(54, 50)).not.toBe(below!.slot);
  });

  test("instance: says what to do where there is no mask", () => {
    const bench = new Bench("eraser", { kind: "instance" });
    bench.click(50, 50);
    bench.add(1, 40, 40, 30);
    bench.click(50, 50);
    expect(bench.said).toEqual([
      "Select the mask to erase from.",
      "Make it a mask first: polygons are changed by their vertices.",
    ]);
    expect(bench.doc.regions[0]!.area).toBe(900);
  });
});
