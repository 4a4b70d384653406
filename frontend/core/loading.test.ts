import fc from "fast-check";
import { expect, test } from "vitest";
import type { Document } from "./document";
import { checkDocument, newDocument } from "./testing";
import type { Ring } from "./types";

/** More than two whole tiles each way, and parts of others. */
const SIZE = { width: 200, height: 150 };

/** Quarters of pixels: doubles would be chosen near 0, nearly all of them. */
const ring: fc.Arbitrary<Ring> = fc
  .array(fc.tuple(fc.integer({ min: -200, max: 1000 }), fc.integer({ min: -200, max: 800 })), {
    minLength: 3,
    maxLength: 7,
  })
  .map((points) => points.flat().map((value) => value / 4));

function open(polygons: readonly Ring[]): Document {
  return newDocument({
    size: SIZE,
    kind: "instance",
    regions: polygons.map((points, order) => ({
      uuid: `region ${order}`,
      categoryId: 1,
      geometry: { type: "polygons", polygons: [[points]] },
      order,
      isCrowd: false,
      attributes: {},
      source: "polygon",
      proposalId: null,
    })),
  });
}

test("polygons without masks yet have their labels, areas and boxes", () => {
  fc.assert(
    fc.property(fc.array(ring, { minLength: 1, maxLength: 5 }), (polygons) => {
      checkDocument(open(polygons));
    }),
    { numRuns: 60 },
  );
});

test("taking one away shows those below, whose masks nobody had asked for", () => {
  fc.assert(
    fc.property(fc.array(ring, { minLength: 2, maxLength: 5 }), fc.nat(), (polygons, which) => {
      const doc = open(polygons);
      const uuid = `region ${which % polygons.length}`;
      doc.edit("Delete", (gesture) => gesture.remove(uuid));
      checkDocument(doc);
      doc.undo();
      checkDocument(doc);
    }),
    { numRuns: 60 },
  );
});

test("masks are made as long as there is time", () => {
  const doc = open([1, 2, 3].map((side) => [0, 0, 20 * side, 0, 20 * side, 30, 0, 30]));
  let left = 2;
  expect(doc.makeMasks(() => left-- > 0)).toBe(false);
  expect(doc.makeMasks(() => left-- > -2)).toBe(true);
  expect(doc.makeMasks(() => false)).toBe(true);
});
