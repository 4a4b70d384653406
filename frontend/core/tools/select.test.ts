import { beforeEach, describe, expect, test } from "vitest";
import { checkDocument, picture } from "../testing";
import { ALT, at, Bench, NONE, SHIFT } from "./testing";

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
