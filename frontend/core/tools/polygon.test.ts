import { describe, expect, test } from "vitest";
import { ALT, Bench } from "./testing";

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
