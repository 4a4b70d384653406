import { describe, expect, test } from "vitest";
import { patchAt, patchMask, superpixels } from "../superpixels";
import { checkDocument, picture } from "../testing";
import { ALT, at, Bench, NONE } from "./testing";

/** A red half and a blue half, apart at x = 103, which is no multiple of the spacing. */
const halves = (x: number): readonly [number, number, number] =>
  x < 103 ? [200, 40, 40] : [40, 40, 200];

/** Lets the answers of the promises arrive. */
const settle = () => new Promise((resolve) => setTimeout(resolve));

describe("superpixels", () => {
  const width = 120;
  const height = 90;
  const window = { x: 7, y: 11, width, height };
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0; i < width * height; i++) {
    const inside = Math.hypot((i % width) - 60, Math.floor(i / width) - 45) < 25;
    rgba.set(inside ? [240, 200, 20] : [20, 60, 90], i * 4);
  }
  const cut = superpixels(rgba, window, 12);

  test("each is connected, of about the wanted size, and they cover the window", () => {
    expect(cut.count).toBeGreaterThan(40);
    expect(cut.count).toBeLessThan(110);
    const size = { width: 200, height: 200 };
    const seen = new Map<number, number>();
    for (let y = 11; y < 11 + height; y++) {
      for (let x = 7; x < 7 + width; x++) {
        const patch = patchAt(cut, { x, y })!;
        // One connected area holds every pixel of its number.
        if (!seen.has(patch)) seen.set(patch, patchMask(cut, size, { x, y }).area());
      }
    }
    expect(seen.size).toBe(cut.count);
    expect([...seen.values()].reduce((sum, area) => sum + area)).toBe(width * height);
    expect(Math.min(...seen.values())).toBeGreaterThanOrEqual(36);
    expect(patchAt(cut, { x: 6.9, y: 20 })).toBeNull();
  });

  test("their borders follow the edges of the picture", () => {
    const colors = new Map<number, Set<number>>();
    cut.labels.forEach((patch, i) => {
      colors.set(patch, (colors.get(patch) ?? new Set()).add(rgba[i * 4]!));
    });
    const mixed = [...colors.values()].filter((of) => of.size > 1);
    expect(mixed).toEqual([]);
  });
});

describe("superpixel tool", () => {
  test("a click paints one patch, a drag all on its way, and each is one step", async () => {
    const bench = new Bench("superpixel", {}, { superpixelSize: 20 });
    bench.show(halves);
    bench.tool.pointerMove([at(50, 50)], NONE);
    expect(bench.tool.overlays()).toEqual([]);
    await settle();
    expect(bench.tool.overlays()).toMatchObject([{ kind: "path", closed: true, style: "draft" }]);
    bench.click(50, 50);
    const { area } = bench.doc.regions[0]!;
    expect(area).toBeGreaterThan(150);
    expect(area).toBeLessThan(900);
    bench.drag([
      [50, 50],
      [50, 52],
      [98, 75],
    ]);
    expect(bench.doc.regions[0]!.area).toBeGreaterThan(3 * area);
    const { x, width } = bench.doc.regions[0]!.bbox;
    expect(x + width).toBe(103);
    expect(bench.doc.undo()).toBe("Paint superpixels");
    expect(bench.doc.regions[0]!.area).toBe(area);
    checkDocument(bench.doc);
  });

  test("a stroke that is faster than the patches is painted when they come", async () => {
    const bench = new Bench("superpixel", {}, { superpixelSize: 20 });
    bench.show(halves);
    bench.drag([
      [20, 20],
      [80, 20],
    ]);
    expect(bench.doc.gesture).not.toBeNull();
    await settle();
    expect(bench.doc.gesture).toBeNull();
    expect(bench.doc.regions[0]!.area).toBeGreaterThan(1000);
    checkDocument(bench.doc);
  });

  test("Escape takes back what waits for patches", async () => {
    const bench = new Bench("superpixel");
    bench.show(halves);
    const before = picture(bench.doc);
    bench.drag([
      [20, 20],
      [80, 20],
    ]);
    expect(bench.tool.cancel()).toBe(true);
    await settle();
    expect(picture(bench.doc)).toBe(before);
  });

  test("keeps locked pixels, and with Alt erases patches", async () => {
    const bench = new Bench("superpixel", {}, { superpixelSize: 20 });
    bench.show(halves);
    bench.tool.pointerMove([at(50, 50)], NONE);
    await settle();
    bench.click(50, 50);
    const { uuid, area } = bench.doc.regions[0]!;
    bench.view.set({ categoryId: 2, lockedCategories: new Set([1]) });
    bench.click(50, 50);
    expect(bench.doc.regions).toHaveLength(1);
    bench.view.set({ lockedCategories: new Set() });
    bench.click(50, 50, ALT);
    expect(bench.doc.regions).toHaveLength(0);
    bench.doc.undo();
    expect(bench.doc.region(uuid)!.area).toBe(area);
  });

  test("says so while the image loads, and begins nothing that stays", async () => {
    const bench = new Bench("superpixel");
    bench.click(50, 50);
    await settle();
    expect(bench.said).toEqual(["The image is still loading."]);
    expect(bench.doc.gesture).toBeNull();
    expect(bench.doc.regions).toEqual([]);
  });

  test("plus and minus change the size of patches", async () => {
    const bench = new Bench("superpixel", {}, { superpixelSize: 20 });
    bench.show(halves);
    bench.key("+");
    bench.key("+");
    expect(bench.view.state.superpixelSize).toBe(31);
    bench.key("-");
    expect(bench.view.state.superpixelSize).toBe(25);
  });
});
