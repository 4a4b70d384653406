import { describe, expect, test } from "vitest";
import { checkDocument, newDocument } from "../testing";
import type { Candidate } from "../types";
import { ALT, Bench } from "./testing";

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

  test("the mark of a click comes with its mask, or after a moment without it", async () => {
    const bench = new Bench("assist", { kind: "instance" });
    const marks = () => bench.tool.overlays().filter(({ kind }) => kind === "handle").length;
    bench.click(50, 50);
    expect(marks()).toBe(0);
    await bench.asked[0]!.answer([candidate(40, 40, 20)]);
    expect(marks()).toBe(1);
    expect(bench.timers.size).toBe(0);
    bench.click(60, 50);
    expect(marks()).toBe(1);
    bench.wait();
    expect(marks()).toBe(2);
    bench.click(65, 50);
    expect(marks()).toBe(2);
    bench.key("Backspace");
    expect(marks()).toBe(2);
    expect(bench.tool.cancel()).toBe(true);
    expect(bench.timers.size).toBe(0);
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
