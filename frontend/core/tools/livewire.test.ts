import { describe, expect, test } from "vitest";
import { LiveWire } from "../livewire";
import type { rasterize } from "../rasterize";
import { checkDocument } from "../testing";
import { ALT, at, Bench, NONE, SHIFT } from "./testing";

const inDisc = (x: number, y: number) => Math.hypot(x + 0.5 - 100, y + 0.5 - 75) < 40;
const disc = (x: number, y: number): readonly [number, number, number] =>
  inDisc(x, y) ? [230, 200, 60] : [30, 50, 70];

/** Anchors on the disc's border, clockwise from the right. */
const anchors = [0, 90, 180, 270].map((degrees): [number, number] => {
  const angle = (degrees * Math.PI) / 180;
  return [100 + 40 * Math.cos(angle), 75 + 40 * Math.sin(angle)];
});

function iouWithDisc(mask: { bitmap(window: object): Uint8Array }): number {
  const bits = (mask as ReturnType<typeof rasterize>).bitmap({
    x: 0,
    y: 0,
    width: 200,
    height: 150,
  });
  let [both, either] = [0, 0];
  bits.forEach((bit, i) => {
    const there = inDisc(i % 200, Math.floor(i / 200));
    if (bit && there) both++;
    if (bit || there) either++;
  });
  return both / either;
}

describe("live wire", () => {
  const window = { x: 0, y: 0, width: 200, height: 150 };
  const rgba = new Uint8ClampedArray(200 * 150 * 4).fill(255);
  for (let i = 0; i < 200 * 150; i++) rgba.set(disc(i % 200, Math.floor(i / 200)), i * 4);

  test.each([1, 2, 4])("follows an edge, in cells of %i pixels", (step) => {
    const wire = new LiveWire(rgba, window, step, { x: 140, y: 75 });
    const path = wire.path({ x: 60, y: 75 });
    expect(path.slice(0, 2)).toEqual([140, 75]);
    expect(path.slice(-2)).toEqual([60, 75]);
    for (let i = 4; i < path.length - 4; i += 2) {
      const off = Math.abs(Math.hypot(path[i]! - 100, path[i + 1]! - 75) - 40);
      expect(off).toBeLessThanOrEqual(1 + step);
    }
  });

  test("is straight where it may not go", () => {
    const wire = new LiveWire(rgba, window, 1, { x: 140, y: 75 });
    expect(wire.path({ x: 230, y: 75 })).toEqual([140, 75, 230, 75]);
  });
});

describe("live wire tool", () => {
  test("four clicks around an object make its outline; Enter closes it", () => {
    const bench = new Bench("livewire", { kind: "instance" });
    bench.show(disc);
    for (const [x, y] of anchors) bench.click(x, y);
    expect(bench.doc.regions).toHaveLength(0);
    expect(bench.key("Enter")).toBe(true);
    const [region] = bench.doc.regions;
    expect(region!.geometry.type).toBe("polygons");
    expect(region!.source).toBe("livewire");
    // A polygon of the four anchors alone has 0.64.
    expect(iouWithDisc(bench.doc.mask(region!.uuid))).toBeGreaterThan(0.95);
    expect(bench.tool.overlays()).toEqual([]);
    checkDocument(bench.doc);
  });

  test("fills in semantic projects; begun with Alt it cuts out", () => {
    const bench = new Bench("livewire");
    bench.show(disc);
    for (const [x, y] of anchors) bench.click(x, y);
    bench.click(...anchors[0]!);
    const [region] = bench.doc.regions;
    expect(region!.geometry.type).toBe("mask");
    const { area } = region!;
    for (const [x, y] of anchors) bench.click(x, y, ALT);
    bench.key("Enter");
    expect(bench.doc.regions).toHaveLength(0);
    bench.doc.undo();
    expect(bench.doc.regions[0]!.area).toBe(area);
  });

  test("Backspace takes anchors back, Escape all, Shift is straight", () => {
    const bench = new Bench("livewire", { kind: "instance" });
    bench.show(disc);
    bench.click(...anchors[0]!);
    bench.click(...anchors[1]!);
    const path = () =>
      bench.tool.overlays().flatMap((one) => (one.kind === "path" ? [one.points] : []))[0]!;
    expect(path().length).toBeGreaterThan(40);
    bench.key("Backspace");
    bench.tool.pointerMove([at(...anchors[1]!)], SHIFT);
    expect(path()).toHaveLength(4);
    bench.tool.pointerMove([at(...anchors[1]!)], NONE);
    expect(path().length).toBeGreaterThan(40);
    expect(bench.tool.cancel()).toBe(true);
    expect(bench.tool.overlays()).toEqual([]);
    expect(bench.key("Backspace")).toBe(false);
  });

  test("is straight, and says so, while the image loads", () => {
    const bench = new Bench("livewire", { kind: "instance" });
    for (const [x, y] of [
      [10, 10],
      [60, 10],
      [60, 60],
    ] as const) {
      bench.click(x, y);
    }
    bench.key("Enter");
    expect(bench.said[0]).toContain("still loading");
    expect(bench.doc.regions[0]!.geometry).toEqual({
      type: "polygons",
      polygons: [[[10, 10, 60, 10, 60, 60]]],
    });
  });
});
