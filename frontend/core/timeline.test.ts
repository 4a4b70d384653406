import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { setCategory } from "./ops/regions";
import { checkDocument, newDocument, picture, rectSpans } from "./testing";
import { type Revision, restoreAll, restoreOne, stepsOf } from "./timeline";
import type { StoredRegion } from "./types";

const size = { width: 130, height: 70 };
const anything = new Uint8Array(65536).fill(1);

function line(id: number, milliseconds: number, more: Partial<Revision> = {}): Revision {
  return {
    id,
    region: `r${id}`,
    category: 1,
    version: 2,
    author: "anna",
    at: new Date(milliseconds).toISOString(),
    source: "brush",
    model: "",
    model_version: "",
    deleted: false,
    ...more,
  };
}

function state(doc: ReturnType<typeof newDocument>): StoredRegion[] {
  return doc.regions.map(({ uuid }) => doc.stored(uuid)!);
}

/** What counts of a state: the tool is that of the restoring. */
function essence(regions: readonly StoredRegion[]) {
  return regions.map(({ source: _, ...rest }) => rest).sort((a, b) => (a.uuid < b.uuid ? -1 : 1));
}

describe("steps", () => {
  test("what one person saved at once is one step", () => {
    const found = stepsOf([
      line(5, 9000, { region: "a", version: 1, source: "polygon" }),
      line(4, 8990, { region: "b", deleted: true, source: "import" }),
      line(3, 8980, { author: "ben" }),
      line(2, 7000, { source: "proposal", model: "SAM", model_version: "2" }),
    ]);
    expect(found.map(({ id, author }) => [id, author])).toEqual([
      [5, "anna"],
      [3, "ben"],
      [2, "anna"],
    ]);
    expect(found[0]).toMatchObject({
      regions: ["a", "b"],
      made: 1,
      changed: 0,
      deleted: 1,
      sources: ["polygon"],
    });
    expect(found[2]?.sources).toEqual(["SAM 2"]);
  });

  test("half a second apart is two steps", () => {
    expect(stepsOf([line(2, 1500), line(1, 1000)])).toHaveLength(2);
    expect(stepsOf([])).toEqual([]);
  });
});

const edit = fc.record({
  category: fc.integer({ min: 1, max: 4 }),
  x: fc.nat(100),
  y: fc.nat(50),
  width: fc.integer({ min: 1, max: 80 }),
  height: fc.integer({ min: 1, max: 40 }),
  what: fc.constantFrom("paint", "paint", "erase", "recategorise", "remove"),
});
type Edit = typeof edit extends fc.Arbitrary<infer T> ? T : never;

function apply(doc: ReturnType<typeof newDocument>, one: Edit): void {
  const spans = rectSpans(size, {
    x: one.x,
    y: one.y,
    width: Math.min(one.width, size.width - one.x),
    height: Math.min(one.height, size.height - one.y),
  });
  const old = doc.regions[one.x % Math.max(1, doc.regions.length)];
  if (one.what === "recategorise" && old) {
    setCategory(doc, [old.uuid], one.category);
    return;
  }
  doc.edit(one.what, (gesture) => {
    if (one.what === "remove" && old) return gesture.remove(old.uuid);
    if (one.what === "erase" && old) return gesture.erase(old.uuid, spans);
    const target = doc.only(one.category) ?? gesture.add({ categoryId: one.category });
    gesture.paint(target.uuid, spans);
  });
}

describe.each(["semantic", "instance", "panoptic"] as const)("%s", (kind) => {
  const start = () => newDocument({ size, kind, isThing: (category) => category > 2 });

  test("any state comes back, and goes again by undo", () => {
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 6 }), fc.array(edit, { maxLength: 6 }), (a, b) => {
        const doc = start();
        for (const one of a) apply(doc, one);
        const then = state(doc);
        for (const one of b) apply(doc, one);
        const before = picture(doc);
        const count = restoreAll(doc, then, () => false);
        expect(essence(state(doc))).toEqual(essence(then));
        checkDocument(doc);
        if (count) doc.undo();
        expect(picture(doc)).toBe(before);
      }),
      { numRuns: 30 },
    );
  });

  test("any one region comes back", () => {
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 5 }), fc.array(edit), (a, b) => {
        const doc = start();
        for (const one of a) apply(doc, one);
        const then = state(doc)[0];
        if (!then) return;
        for (const one of b.slice(0, 5)) apply(doc, one);
        restoreOne(doc, then.uuid, then, anything);
        checkDocument(doc);
        const target = doc.only(then.categoryId)?.uuid ?? then.uuid;
        expect(doc.stored(target)?.geometry).toEqual(then.geometry);
        expect(doc.region(target)?.categoryId).toBe(then.categoryId);
        restoreOne(doc, target, null, anything);
        expect(doc.region(target)).toBeNull();
        checkDocument(doc);
      }),
      { numRuns: 30 },
    );
  });
});

test("two categories that changed places come back", () => {
  const doc = newDocument({ size });
  apply(doc, { category: 1, x: 0, y: 0, width: 5, height: 5, what: "paint" });
  apply(doc, { category: 2, x: 20, y: 0, width: 5, height: 5, what: "paint" });
  const then = state(doc);
  const [first, second] = doc.regions;
  setCategory(doc, [first!.uuid], 3);
  setCategory(doc, [second!.uuid], 1);
  setCategory(doc, [first!.uuid], 2);
  restoreAll(doc, then, () => false);
  expect(essence(state(doc))).toEqual(essence(then));
});

test("locked regions keep their pixels", () => {
  const doc = newDocument({ size });
  apply(doc, { category: 1, x: 0, y: 0, width: 10, height: 10, what: "paint" });
  const then = state(doc);
  apply(doc, { category: 2, x: 5, y: 0, width: 10, height: 10, what: "paint" });
  const [first, second] = doc.regions;
  const mayPaint = anything.slice();
  mayPaint[second!.slot] = 0;
  restoreOne(doc, first!.uuid, then[0]!, mayPaint);
  expect([doc.region(first!.uuid)?.area, doc.region(second!.uuid)?.area]).toEqual([50, 100]);
  const is = (uuid: string) => uuid === second!.uuid;
  expect(() => restoreAll(doc, then, is)).toThrow("locked");
  expect(() => restoreOne(doc, second!.uuid, null, mayPaint)).toThrow("locked");
  expect(doc.regions).toHaveLength(2);
});
