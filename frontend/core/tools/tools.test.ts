import { beforeEach, describe, expect, test } from "vitest";
import { checkDocument, newDocument, picture } from "../testing";
import type { Candidate } from "../types";
import { TOOLS } from "./registry";
import { ALT, at, Bench, NONE, SHIFT } from "./testing";

describe("every tool", () => {
  test.each(TOOLS.map(({ name }) => name))(
    "%s leaves the document alone when nothing is done",
    (name) => {
      const bench = new Bench(name);
      const before = picture(bench.doc);
      bench.tool.pointerMove([at(10, 10)], NONE);
      expect(bench.key("q")).toBe(false);
      expect(bench.tool.cancel()).toBe(false);
      bench.tool.overlays();
      expect(picture(bench.doc)).toBe(before);
      expect(bench.doc.gesture).toBeNull();
    },
  );

  test("names and hotkeys are all different", () => {
    expect(new Set(TOOLS.map(({ name }) => name)).size).toBe(TOOLS.length);
    expect(new Set(TOOLS.map(({ hotkey }) => hotkey)).size).toBe(TOOLS.length);
  });

  test.each(["brush", "rectangle", "lasso", "bucket", "polygon"])(
    "%s asks for a category",
    (name) => {
      const bench = new Bench(name, {}, { categoryId: null });
      bench.drag([
        [10, 10],
        [40, 10],
        [40, 40],
        [20, 45],
      ]);
      if (name === "polygon") {
        for (const [x, y] of [
          [60, 10],
          [60, 60],
        ] as const)
          bench.click(x, y);
        bench.key("Enter");
      }
      expect(bench.said).toContain("Choose a category first.");
      expect(bench.doc.regions).toHaveLength(0);
      expect(bench.doc.gesture).toBeNull();
    },
  );
});

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

describe("polygon", () => {
  const corners = [
    [20, 20],
    [80, 20],
    [80, 80],
    [20, 80],
  ] as const;

  test.each([
    ["Enter", (bench: Bench) => bench.key("Enter")],
    ["a click on the first vertex", (bench: Bench) => bench.click(21, 22)],
    ["a double-click", (bench: Bench) => bench.click(20, 80)],
  ])("is closed by %s", (_, close) => {
    const bench = new Bench("polygon", { kind: "instance" });
    for (const [x, y] of corners) bench.click(x, y);
    close(bench);
    expect(bench.doc.stored(bench.doc.regions[0]!.uuid)!.geometry).toEqual({
      type: "polygons",
      polygons: [[corners.flat()]],
    });
    expect(bench.view.state.selection).toEqual([bench.doc.regions[0]!.uuid]);
    expect(bench.tool.cancel()).toBe(false);
  });

  test("Backspace takes the last vertex back, Escape all", () => {
    const bench = new Bench("polygon", { kind: "instance" });
    for (const [x, y] of [...corners, [5, 5] as const]) bench.click(x, y);
    expect(bench.key("Backspace")).toBe(true);
    bench.key("Enter");
    expect(bench.doc.regions[0]!.area).toBe(3600);
    bench.click(100, 100);
    expect(bench.tool.cancel()).toBe(true);
    expect(bench.tool.overlays()).toEqual([]);
  });

  test("freehand, and closed by letting go at the start", () => {
    const bench = new Bench("polygon", { kind: "instance" });
    const circle = Array.from({ length: 60 }, (_, i): [number, number] => [
      100 + 50 * Math.cos((i * Math.PI) / 30),
      75 + 50 * Math.sin((i * Math.PI) / 30),
    ]);
    bench.drag([...circle, circle[0]!]);
    expect(bench.doc.regions[0]!.area).toBeGreaterThan(7300);
  });

  test("begun with Alt it cuts a hole into the selected polygon", () => {
    const bench = new Bench("polygon", { kind: "instance" });
    const uuid = bench.add(1, 20, 20, 60);
    bench.view.select(uuid);
    for (const [x, y] of [
      [40, 40],
      [60, 40],
      [60, 60],
      [40, 60],
    ] as const)
      bench.click(x, y, ALT);
    bench.key("Enter");
    expect(bench.doc.region(uuid)!.area).toBe(3600 - 400);
    expect(bench.doc.regions).toHaveLength(1);
    bench.view.set({ snapDistance: 0 });
    for (const [x, y] of [
      [70, 70],
      [120, 70],
      [120, 120],
    ] as const)
      bench.click(x, y, ALT);
    bench.key("Enter");
    expect(bench.said).toEqual(["A hole has to lie inside of the selected polygon."]);
    expect(bench.tool.cancel()).toBe(true);
  });

  test("semantic: fills the category; with Alt it erases", () => {
    const bench = new Bench("polygon");
    for (const [x, y] of corners) bench.click(x, y);
    bench.key("Enter");
    expect(bench.doc.regions).toMatchObject([{ categoryId: 1, area: 3600 }]);
    for (const [x, y] of [
      [20, 20],
      [80, 20],
      [80, 50],
      [20, 50],
    ] as const)
      bench.click(x, y, ALT);
    bench.key("Enter");
    expect(bench.doc.regions[0]!.area).toBe(1800);
  });

  test("snaps to vertices of other polygons", () => {
    const bench = new Bench("polygon", { kind: "instance" });
    bench.add(1, 20, 20, 60);
    for (const [x, y] of [
      [82, 19],
      [140, 20],
      [140, 80],
      [79, 83],
    ] as const)
      bench.click(x, y);
    bench.key("Enter");
    const { geometry } = bench.doc.stored(bench.doc.regions[1]!.uuid)!;
    expect(geometry).toEqual({
      type: "polygons",
      polygons: [[[80, 20, 140, 20, 140, 80, 80, 80]]],
    });
  });

  test("an outline without pixels is refused and stays to be mended", () => {
    const bench = new Bench("polygon", { kind: "instance" });
    for (const [x, y] of [
      [20, 20],
      [80, 20],
    ] as const)
      bench.click(x, y);
    bench.key("Enter");
    expect(bench.said).toEqual(["That outline has no pixels inside."]);
    bench.click(80, 80);
    bench.key("Enter");
    expect(bench.doc.regions).toHaveLength(1);
  });

  test("vertices outside of the image are put on its border", () => {
    const bench = new Bench("polygon", { kind: "instance" });
    for (const [x, y] of [
      [-50, -50],
      [300, -50],
      [300, 300],
      [-50, 300],
    ] as const)
      bench.click(x, y);
    bench.key("Enter");
    expect(bench.doc.regions[0]!.area).toBe(200 * 150);
  });
});

describe("rectangle, lasso, bucket, wand", () => {
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

  test("the wand fills similar colours within the tolerance, over many windows", () => {
    const bench = new Bench("wand", { size: { width: 900, height: 40 } }, { wandTolerance: 10 });
    bench.click(5, 5);
    expect(bench.said).toEqual(["The image is still loading."]);
    bench.image = new Uint8ClampedArray(900 * 40 * 4);
    for (let i = 0; i < 900 * 40; i++) {
      const [x, y] = [i % 900, Math.floor(i / 900)];
      bench.image.fill(y < 20 ? 100 + (x % 10) : 120, i * 4, i * 4 + 3);
    }
    bench.click(5, 5);
    expect(bench.doc.regions[0]!.area).toBe(900 * 20);
    bench.key("+");
    expect(bench.view.state.wandTolerance).toBe(12);
    bench.view.set({ wandTolerance: 20 });
    bench.click(5, 5);
    expect(bench.doc.regions[0]!.area).toBe(900 * 40);
  });
});

describe("select", () => {
  let bench: Bench;
  let a: string;
  let b: string;

  const polygonsOf = (uuid: string) => {
    const { geometry } = bench.doc.region(uuid)!;
    return geometry.type === "polygons" ? geometry.polygons : null;
  };

  beforeEach(() => {
    bench = new Bench("select", { kind: "instance" });
    a = bench.add(1, 20, 20, 40);
    b = bench.add(1, 40, 40, 40);
  });

  test("a click selects the front one, further clicks what lies below", () => {
    bench.click(50, 50);
    expect(bench.view.state.selection).toEqual([b]);
    bench.click(51, 50);
    expect(bench.view.state.selection).toEqual([a]);
    bench.click(51, 50);
    expect(bench.view.state.selection).toEqual([b]);
    bench.click(150, 120);
    expect(bench.view.state.selection).toEqual([]);
  });

  test("shift adds and takes away, a box takes all inside", () => {
    bench.click(25, 25);
    bench.click(70, 70, SHIFT);
    expect(bench.view.state.selection).toEqual([a, b]);
    bench.click(70, 70, SHIFT);
    expect(bench.view.state.selection).toEqual([a]);
    bench.drag([
      [5, 5],
      [95, 95],
    ]);
    expect([...bench.view.state.selection].sort()).toEqual([a, b].sort());
    bench.drag([
      [5, 5],
      [62, 62],
    ]);
    expect(bench.view.state.selection).toEqual([a]);
  });

  test("dragging moves a region, at most to the border; Escape brings it back", () => {
    bench.drag([
      [25, 25],
      [35, 30],
      [45, 35],
    ]);
    expect(bench.doc.region(a)!.bbox).toEqual({ x: 40, y: 30, width: 40, height: 40 });
    expect(bench.doc.undo()).toBe("Move");
    bench.view.select();
    bench.drag([
      [25, 25],
      [-300, -300],
    ]);
    expect(bench.doc.region(a)!.bbox).toEqual({ x: 0, y: 0, width: 40, height: 40 });
    const before = picture(bench.doc);
    bench.tool.pointerDown([at(10, 10)], NONE);
    bench.tool.pointerMove([at(60, 60)], NONE);
    expect(bench.tool.cancel()).toBe(true);
    expect(picture(bench.doc)).toBe(before);
    checkDocument(bench.doc);
  });

  test("arrows move by one pixel, with shift by ten", () => {
    bench.click(25, 25);
    bench.key("ArrowRight");
    bench.key("ArrowDown", SHIFT);
    expect(bench.doc.region(a)!.bbox).toEqual({ x: 21, y: 30, width: 40, height: 40 });
  });

  test("a vertex is dragged, snaps, and is one step", () => {
    bench.click(25, 25);
    bench.drag([
      [20, 20],
      [15, 15],
      [10, 5],
    ]);
    expect(polygonsOf(a)![0]![0]!.slice(0, 2)).toEqual([10, 5]);
    bench.drag([
      [10, 5],
      [38, 43],
    ]);
    expect(polygonsOf(a)![0]![0]!.slice(0, 2)).toEqual([40, 40]);
    bench.doc.undo();
    bench.doc.undo();
    expect(polygonsOf(a)![0]![0]!.slice(0, 2)).toEqual([20, 20]);
    checkDocument(bench.doc);
  });

  test("shared vertices move together unless that is off", () => {
    const c = bench.add(1, 60, 20, 40);
    bench.view.select(c);
    bench.drag([
      [60, 20],
      [70, 12],
    ]);
    expect(polygonsOf(a)![0]![0]!.slice(2, 4)).toEqual([70, 12]);
    expect(polygonsOf(c)![0]![0]!.slice(0, 2)).toEqual([70, 12]);
    bench.view.set({ sharedBorders: false, snapDistance: 0 });
    bench.drag([
      [70, 12],
      [75, 12],
    ]);
    expect(polygonsOf(a)![0]![0]!.slice(2, 4)).toEqual([70, 12]);
    expect(polygonsOf(c)![0]![0]!.slice(0, 2)).toEqual([75, 12]);
  });

  test("the middle of an edge becomes a vertex; Alt or Delete takes one away", () => {
    bench.click(25, 25);
    bench.drag([
      [40, 20],
      [40, 10],
      [40, 5],
    ]);
    expect(polygonsOf(a)).toEqual([[[20, 20, 40, 5, 60, 20, 60, 60, 20, 60]]]);
    bench.click(40, 5, ALT);
    expect(polygonsOf(a)).toEqual([[[20, 20, 60, 20, 60, 60, 20, 60]]]);
    bench.click(20, 60);
    bench.key("Delete");
    expect(polygonsOf(a)).toEqual([[[20, 20, 60, 20, 60, 60]]]);
    bench.click(20, 20, ALT);
    expect(bench.said).toHaveLength(1);
    expect(polygonsOf(a)![0]![0]).toHaveLength(6);
  });

  test("Delete deletes the selected regions, but no locked ones", () => {
    bench.view.set({ lockedRegions: new Set([b]) });
    bench.view.select(a, b);
    bench.key("Delete");
    expect(bench.doc.regions.map(({ uuid }) => uuid)).toEqual([b]);
    expect(bench.said).toEqual(["Locked regions are not deleted."]);
    bench.doc.undo();
    expect(bench.doc.regions).toHaveLength(2);
  });

  test("hidden regions are not hit", () => {
    bench.view.set({ hiddenRegions: new Set([b]) });
    bench.click(50, 50);
    expect(bench.view.state.selection).toEqual([a]);
  });
});

describe("split", () => {
  test("cuts the region under its line, and says when it misses", () => {
    const bench = new Bench("split", { kind: "instance" });
    const uuid = bench.add(1, 20, 20, 40);
    bench.drag([
      [10, 30],
      [90, 30],
    ]);
    expect(bench.doc.regions.map(({ area }) => area)).toEqual([1200, 400]);
    expect(bench.view.state.selection).toEqual([uuid, bench.doc.regions[1]!.uuid]);
    bench.drag([
      [10, 120],
      [90, 120],
    ]);
    bench.view.select();
    bench.drag([
      [10, 120],
      [90, 120],
    ]);
    expect(bench.said).toEqual(["The line does not cut the region.", "Select the region to cut."]);
    expect(bench.doc.undo()).toBe("Split");
    expect(bench.doc.region(uuid)!.area).toBe(1600);
  });
});

describe("assist", () => {
  const candidate = (x: number, y: number, side: number): Candidate => {
    const doc = newDocument({ kind: "instance" });
    const { uuid } = doc.edit("add", (gesture) =>
      gesture.add({
        categoryId: 1,
        polygons: [[[x, y, x + side, y, x + side, y + side, x, y + side]]],
      }),
    );
    return { mask: { size: [150, 200], counts: doc.mask(uuid).counts() }, score: 0.9 };
  };

  test("points and a box are sent, the mask refined, Enter accepts, the next object is new", async () => {
    const bench = new Bench("assist", { kind: "instance" });
    bench.click(50, 50);
    expect(bench.asked[0]!.prompts).toEqual({
      points: [{ x: 50, y: 50, positive: true }],
      box: null,
      mask: null,
    });
    const first = candidate(40, 40, 20);
    await bench.asked[0]!.answer([first]);
    expect(bench.changes).toBe(1);
    expect(bench.tool.overlays()[0]).toMatchObject({ kind: "mask", style: "preview" });
    bench.click(90, 90, ALT);
    expect(bench.asked[1]!.prompts).toMatchObject({
      points: [{}, { positive: false }],
      mask: first.mask,
    });
    bench.drag([
      [30, 30],
      [70, 80],
    ]);
    expect(bench.asked[2]!.prompts.box).toEqual({ x: 30, y: 30, width: 40, height: 50 });
    const by = "sam_vit_b 01ec64d2";
    await bench.asked[2]!.answer([candidate(35, 35, 30), { ...candidate(40, 40, 10), by }]);
    bench.key("Tab");
    expect(bench.key("Enter")).toBe(true);
    const accepted = { area: 100, categoryId: 1, source: `assist: ${by}` };
    expect(bench.doc.regions).toMatchObject([accepted]);
    bench.click(150, 50);
    expect(bench.asked[3]!.prompts).toMatchObject({ points: [{ x: 150 }], box: null, mask: null });
    await bench.asked[3]!.answer([candidate(140, 40, 20)]);
    bench.key("Enter");
    expect(bench.doc.regions.map(({ categoryId }) => categoryId)).toEqual([1, 1]);
  });

  test("stale answers are dropped, errors are told", async () => {
    const bench = new Bench("assist", { kind: "instance" });
    bench.click(50, 50);
    bench.click(55, 50);
    await bench.asked[1]!.answer([candidate(10, 10, 20)]);
    await bench.asked[0]!.answer([candidate(100, 100, 20)]);
    bench.key("Enter");
    expect(bench.doc.regions[0]!.bbox.x).toBe(10);
    bench.click(50, 50);
    await bench.asked[2]!.answer(new Error("The model is not installed."));
    expect(bench.said).toEqual(["The model is not installed."]);
    expect(bench.tool.cancel()).toBe(true);
    bench.click(50, 50);
    expect(bench.tool.cancel()).toBe(true);
    await bench.asked[3]!.answer([candidate(10, 10, 20)]);
    expect(bench.tool.overlays()).toEqual([]);
  });

  test("Backspace takes prompts back, numbers choose", async () => {
    const bench = new Bench("assist", { kind: "instance" });
    bench.click(50, 50);
    bench.click(60, 60);
    bench.key("Backspace");
    expect(bench.asked[2]!.prompts.points).toHaveLength(1);
    await bench.asked[2]!.answer([10, 20, 30].map((side) => candidate(5, 5, side)));
    bench.key("3");
    bench.key("Enter");
    expect(bench.doc.regions[0]!.area).toBe(900);
    expect(bench.key("Backspace")).toBe(false);
  });

  test("semantic: paints into the category, respecting locks", async () => {
    const bench = new Bench("assist");
    for (const categoryId of [1, 2]) {
      bench.view.set({ categoryId, onlyUnlabeled: categoryId === 2 });
      bench.click(50, 50);
      await bench.asked.at(-1)!.answer([candidate(40 + categoryId * 10, 40, 20)]);
      bench.key("Enter");
    }
    expect(bench.doc.only(1)!.area).toBe(400);
    expect(bench.doc.only(2)!.area).toBe(200);
    checkDocument(bench.doc);
  });
});
