import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Document } from "./document";
import type { Gesture } from "./gesture";
import { Mask } from "./mask";
import { Spans, stroke } from "./spans";
import { checkDocument, flatLabels, newDocument, picture, rectSpans } from "./testing";
import type { Change, Proposal, StoredRegion } from "./types";

const SIZE = { width: 200, height: 150 };

const fields = (uuid: string, categoryId: number, order = 0) => ({
  uuid,
  categoryId,
  order,
  isCrowd: false,
  attributes: {},
  source: "brush",
  proposalId: null,
});

function rectRegion(
  uuid: string,
  categoryId: number,
  x: number,
  y: number,
  side: number,
): StoredRegion {
  const spans = rectSpans(SIZE, { x, y, width: side, height: side });
  const counts = Mask.fromBitmap(
    SIZE,
    spans.bounds()!,
    new Uint8Array(side * side).fill(1),
  ).counts();
  return { ...fields(uuid, categoryId), geometry: { type: "mask", counts } };
}

const proposals: Proposal[] = [1, 2, 3].map((id) => ({
  id,
  categoryId: id === 3 ? null : id,
  geometry: { type: "polygons", polygons: [[[id * 30, 20, id * 30 + 60, 30, id * 30 + 20, 90]]] },
  bbox: { x: 0, y: 0, width: 1, height: 1 },
  score: 0.5,
  isCrowd: false,
  model: "test",
}));

const point = fc.record({
  x: fc.double({ min: -20, max: 220, noNaN: true }),
  y: fc.double({ min: -20, max: 170, noNaN: true }),
  pressure: fc.constant(0.5),
});
const ring = fc
  .array(point, { minLength: 3, maxLength: 8 })
  .map((points) => points.flatMap(({ x, y }) => [x, y]));
const step = fc.oneof(
  fc.record({
    do: fc.constantFrom("paint" as const, "erase" as const),
    which: fc.nat(9),
    points: fc.array(point, { minLength: 1, maxLength: 4 }),
    radius: fc.double({ min: 0.5, max: 40, noNaN: true }),
    shape: fc.constantFrom("round" as const, "square" as const),
    locked: fc.option(fc.nat(5)),
  }),
  fc.record({
    do: fc.constantFrom("polygons" as const),
    which: fc.nat(9),
    rings: fc.array(ring, { minLength: 1, maxLength: 2 }),
  }),
  fc.record({
    do: fc.constantFrom("remove" as const, "order" as const, "category" as const),
    which: fc.nat(9),
  }),
  fc.record({
    do: fc.constantFrom("accept" as const, "dismiss" as const, "restore" as const),
    which: fc.nat(2),
  }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Does a step as tools do; skips what the project does not allow. */
function perform(doc: Document, gesture: Gesture, one: Step): void {
  const region = doc.regions.length ? doc.regions[one.which % doc.regions.length]! : null;
  const category = (one.which % 3) + (one.which % 2 ? 10 : 1);
  switch (one.do) {
    case "paint":
    case "erase": {
      const spans = new Spans(doc.size);
      stroke(spans, { shape: one.shape, radius: one.radius, pressure: false }, one.points, null);
      const locks = new Uint8Array(65536).fill(1);
      if (one.locked !== null) locks[one.locked] = 0;
      if (one.do === "erase") {
        if (doc.exclusive || region)
          gesture.erase(doc.exclusive ? null : region!.uuid, spans, locks);
        return;
      }
      const target =
        doc.only(category) ??
        (doc.isSingle(category) || one.which > 4 || !region
          ? gesture.add({ categoryId: category, source: "brush" })
          : region);
      gesture.paint(target.uuid, spans, locks);
      return;
    }
    case "polygons":
      if (doc.exclusive) return;
      if (region && one.which > 4) gesture.setPolygons(region.uuid, [one.rings]);
      else gesture.add({ categoryId: category, polygons: [one.rings] });
      return;
    case "remove":
      if (region) gesture.remove(region.uuid);
      return;
    case "order":
      if (region) gesture.update(region.uuid, { order: one.which - 5 });
      return;
    case "category":
      if (region && !doc.only(category)) gesture.update(region.uuid, { categoryId: category });
      return;
    case "accept":
      if (doc.proposalState(one.which + 1) === "open")
        gesture.acceptProposal(one.which + 1, category);
      return;
    case "dismiss":
      gesture.dismissProposal(one.which + 1);
      return;
    case "restore":
      gesture.restoreProposal(one.which + 1);
  }
}

describe.each(["semantic", "instance", "panoptic"] as const)("a %s document", (kind) => {
  test("undo, redo and cancel bring back every state; the label map is what the masks say", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            steps: fc.array(step, { minLength: 1, maxLength: 3 }),
            cancel: fc.boolean(),
          }),
          { minLength: 1, maxLength: 7 },
        ),
        fc.array(fc.boolean(), { maxLength: 12 }),
        (gestures, walk) => {
          const doc = newDocument({ kind, proposals });
          const states = [picture(doc)];
          const dirty = flatLabels(doc);
          doc.subscribe((change) => patchMirror(doc, dirty, change));
          for (const { steps, cancel } of gestures) {
            const gesture = doc.begin("test");
            for (const one of steps) perform(doc, gesture, one);
            if (cancel) gesture.cancel();
            else if (gesture.commit()) states.push(picture(doc));
            checkDocument(doc);
            expect(picture(doc)).toBe(states.at(-1));
          }
          let at = states.length - 1;
          for (const back of [...walk, ...states.map(() => true), ...states.map(() => false)]) {
            const title = back ? doc.undo() : doc.redo();
            if (title !== null) at += back ? -1 : 1;
            expect(picture(doc)).toBe(states[at]);
          }
          checkDocument(doc);
          // What listeners were told to draw again is all that changed.
          expect(
            Buffer.compare(Buffer.from(dirty.buffer), Buffer.from(flatLabels(doc).buffer)),
          ).toBe(0);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("stored and opened again it is the same", () => {
    const doc = newDocument({ kind, proposals });
    doc.edit("one", (gesture) => {
      const { uuid } = gesture.add({ categoryId: 1, source: "brush" });
      gesture.paint(uuid, rectSpans(SIZE, { x: 10, y: 10, width: 70, height: 80 }));
    });
    doc.edit("two", (gesture) => gesture.acceptProposal(2));
    const regions = doc.regions.map(({ uuid }) => doc.stored(uuid)!);
    const again = newDocument({ kind, regions });
    expect(again.regions.map(({ uuid }) => again.stored(uuid))).toEqual(regions);
    checkDocument(again);
  });
});

/** Copies the dirty rectangle as the renderer does. */
function patchMirror(doc: Document, mirror: Uint16Array, { dirty }: Change): void {
  if (!dirty) return;
  for (let y = dirty.y; y < dirty.y + dirty.height; y++) {
    for (let x = dirty.x; x < dirty.x + dirty.width; x++) {
      mirror[y * doc.size.width + x] = doc.labels.get(x, y);
    }
  }
}

describe("exclusive documents", () => {
  test("a region whose last pixel is painted over is removed, and comes back by undo", () => {
    const doc = newDocument({ regions: [rectRegion("a", 1, 20, 20, 10)] });
    const changes: Change[] = [];
    doc.subscribe((change) => changes.push(change));
    doc.edit("paint over", (gesture) => {
      const { uuid } = gesture.add({ categoryId: 2 });
      gesture.paint(uuid, rectSpans(SIZE, { x: 15, y: 15, width: 30, height: 30 }));
    });
    expect(doc.region("a")).toBeNull();
    expect(changes.at(-1)!.regions).toContain("a");
    doc.undo();
    expect(doc.region("a")).toMatchObject({ uuid: "a", area: 100 });
    expect(doc.regions).toHaveLength(1);
    checkDocument(doc);
  });

  test("locked pixels stay", () => {
    const doc = newDocument({ regions: [rectRegion("a", 1, 20, 20, 10)] });
    const locks = new Uint8Array(65536).fill(1);
    locks[doc.region("a")!.slot] = 0;
    doc.edit("paint around", (gesture) => {
      const { uuid } = gesture.add({ categoryId: 2 });
      gesture.paint(uuid, rectSpans(SIZE, { x: 15, y: 15, width: 30, height: 30 }), locks);
    });
    expect(doc.region("a")!.area).toBe(100);
    expect(doc.regions.at(-1)!.area).toBe(800);
  });

  test("a semantic project has one region per category", () => {
    const doc = newDocument({ regions: [rectRegion("a", 1, 20, 20, 10)] });
    expect(() => doc.edit("second", (gesture) => gesture.add({ categoryId: 1 }))).toThrow(
      "already",
    );
    expect(doc.gesture).toBeNull();
  });

  test("an accepted proposal takes only free pixels", () => {
    const doc = newDocument({ proposals, regions: [rectRegion("a", 1, 60, 20, 60)] });
    const before = doc.mask("a").counts();
    doc.edit("accept", (gesture) => gesture.acceptProposal(2));
    expect(doc.mask("a").counts()).toBe(before);
    expect(doc.proposalState(2)).toBe("accepted");
    doc.undo();
    expect(doc.proposalState(2)).toBe("open");
  });

  test("regions that overlap on opening are made disjoint, the later one in front", () => {
    const doc = newDocument({
      regions: [rectRegion("a", 1, 20, 20, 10), rectRegion("b", 2, 25, 20, 10)],
    });
    expect(doc.region("a")!.area).toBe(50);
    expect(doc.region("b")!.area).toBe(100);
    checkDocument(doc);
  });
});

test("a mask asked for in the middle of a gesture stays as it was", () => {
  const doc = newDocument({ regions: [rectRegion("a", 1, 20, 20, 10)] });
  const gesture = doc.begin("going on");
  gesture.erase(null, rectSpans(SIZE, { x: 20, y: 20, width: 2, height: 10 }));
  const between = doc.mask("a");
  gesture.erase(null, rectSpans(SIZE, { x: 22, y: 20, width: 2, height: 10 }));
  expect(between.area()).toBe(80);
  expect(doc.mask("a").area()).toBe(60);
  gesture.cancel();
  expect(between.area()).toBe(80);
  expect(doc.mask("a").area()).toBe(100);
});

describe("instance documents", () => {
  test("a changed order is taken back by cancel", () => {
    const doc = newDocument({
      kind: "instance",
      regions: [
        { ...rectRegion("a", 10, 20, 20, 10), order: 0 },
        { ...rectRegion("b", 10, 20, 20, 10), order: 1 },
      ],
    });
    const before = picture(doc);
    const gesture = doc.begin("front");
    gesture.update("a", { order: 2 });
    expect(picture(doc)).not.toBe(before);
    gesture.cancel();
    expect(picture(doc)).toBe(before);
  });

  test("what lies below shows up where the front is erased", () => {
    const doc = newDocument({
      kind: "instance",
      regions: [
        { ...rectRegion("a", 10, 20, 20, 10), order: 0 },
        { ...rectRegion("b", 10, 20, 20, 10), order: 1 },
      ],
    });
    const [a, b] = [doc.region("a")!.slot, doc.region("b")!.slot];
    expect(doc.slotAt(25, 25)).toBe(b);
    doc.edit("erase", (gesture) =>
      gesture.erase("b", rectSpans(SIZE, { x: 24, y: 24, width: 3, height: 3 })),
    );
    expect(doc.slotAt(25, 25)).toBe(a);
    doc.edit("front", (gesture) => gesture.update("a", { order: 2 }));
    expect(doc.slotAt(21, 21)).toBe(a);
  });

  test("polygon vertices come back as they were", () => {
    const polygons = [
      [
        [10.25, 10.5, 80.125, 12, 60, 90.75],
        [30, 30, 40, 30, 40, 40],
      ],
    ];
    const doc = newDocument({ kind: "instance" });
    const uuid = doc.edit("add", (gesture) => gesture.add({ categoryId: 10, polygons }).uuid);
    expect(doc.stored(uuid)!.geometry).toEqual({ type: "polygons", polygons });
  });
});

describe("history", () => {
  test("is bounded by bytes and says what it dropped", () => {
    const doc = newDocument({ maxHistoryBytes: 20_000 });
    for (let i = 0; i < 40; i++) {
      doc.edit("dot", (gesture) => {
        const target = doc.only(1) ?? gesture.add({ categoryId: 1 });
        gesture.paint(target.uuid, rectSpans(SIZE, { x: i * 4, y: i * 3, width: 3, height: 3 }));
      });
    }
    expect(doc.history.bytes).toBeLessThanOrEqual(20_000);
    expect(doc.history.dropped).toBeGreaterThan(0);
    let undone = 0;
    while (doc.undo()) undone++;
    expect(undone + doc.history.dropped).toBe(40);
  });

  test("undo is refused in the middle of a gesture, and a second gesture too", () => {
    const doc = newDocument({ regions: [rectRegion("a", 1, 20, 20, 10)] });
    doc.edit("remove", (gesture) => gesture.remove("a"));
    const gesture = doc.begin("going on");
    expect(doc.undo()).toBeNull();
    expect(() => doc.begin("second")).toThrow("goes on");
    gesture.cancel();
    expect(doc.undo()).toBe("remove");
    expect(() => gesture.remove("a")).toThrow("over");
  });

  test("a gesture that changes nothing leaves no step", () => {
    const doc = newDocument({ regions: [rectRegion("a", 1, 20, 20, 10)] });
    const gesture = doc.begin("nothing");
    gesture.paint("a", rectSpans(SIZE, { x: 22, y: 22, width: 3, height: 3 }));
    gesture.update("a", { categoryId: 1 });
    expect(gesture.commit()).toBe(false);
    expect(doc.history.undoTitle).toBeNull();
  });
});
