import { beforeEach, describe, expect, test } from "vitest";
import type { Document } from "./document";
import { newDocument, rectSpans } from "./testing";
import type { Region } from "./types";
import { View } from "./view";

describe("view", () => {
  let doc: Document;
  let view: View;
  let regions: Region[];

  beforeEach(() => {
    doc = newDocument();
    view = new View();
    regions = [1, 2, 3].map((categoryId) =>
      doc.edit("add", (gesture) => {
        const { uuid } = gesture.add({ categoryId });
        gesture.paint(uuid, rectSpans(doc.size, { x: 20 * categoryId, y: 0, width: 9, height: 9 }));
        return doc.region(uuid)!;
      }),
    );
  });

  const shown = () => regions.map((region) => view.isVisible(region));
  const open = (table: Uint8Array) => [0, ...regions.map(({ slot }) => slot)].map((s) => table[s]);

  test("regions and categories are hidden, and solo shows nothing else", () => {
    const [first, second] = regions;
    expect(shown()).toEqual([true, true, true]);
    view.set({ hiddenRegions: new Set([first!.uuid]) });
    expect(shown()).toEqual([false, true, true]);
    view.set({ hiddenCategories: new Set([2]) });
    expect(shown()).toEqual([false, false, true]);
    view.set({ solo: new Set([second!.uuid]) });
    expect(shown()).toEqual([false, true, false]);
  });

  test("locks of regions and of categories hold against paint and eraser", () => {
    expect(open(view.mayPaint(doc))).toEqual([1, 1, 1, 1]);
    view.set({ lockedRegions: new Set([regions[0]!.uuid]), lockedCategories: new Set([3]) });
    expect(open(view.mayPaint(doc))).toEqual([1, 0, 1, 0]);
    expect(open(view.mayErase(doc))).toEqual([1, 0, 1, 0]);
  });

  test("only what is unlabeled or of the chosen category may be painted, erased is anything", () => {
    view.set({ onlyUnlabeled: true });
    expect(open(view.mayPaint(doc))).toEqual([1, 0, 0, 0]);
    expect(open(view.mayErase(doc))).toEqual([1, 1, 1, 1]);
    view.set({ onlyUnlabeled: false, onlyOver: 2 });
    expect(open(view.mayPaint(doc))).toEqual([0, 0, 1, 0]);
    view.set({ lockedCategories: new Set([2]) });
    expect(open(view.mayPaint(doc))).toEqual([0, 0, 0, 0]);
  });

  test("a selection is in order of choice and names nothing twice", () => {
    view.select("b", "a", "b");
    view.toggle("c");
    view.toggle("b");
    expect(view.state.selection).toEqual(["a", "c"]);
  });
});
