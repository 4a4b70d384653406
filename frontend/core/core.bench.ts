import { bench, describe } from "vitest";
import { Document } from "./document";
import { Spans, stroke } from "./spans";
import type { Polygon, ProjectKind, StoredRegion } from "./types";

/** `npx vitest bench`: the editor's core on a 24 MP image with 1,000 regions. */

const SIZE = { width: 6000, height: 4000 };

function disc(x: number, y: number, radius: number): Polygon {
  const ring: number[] = [];
  for (let i = 0; i < 24; i++) {
    const angle = (i * Math.PI) / 12;
    ring.push(x + radius * Math.cos(angle), y + radius * Math.sin(angle));
  }
  return [ring];
}

function open(kind: ProjectKind, regions: readonly StoredRegion[]): Document {
  let count = 0;
  return new Document({
    size: SIZE,
    kind,
    isThing: () => true,
    newUuid: () => `new-${count++}`,
    regions,
  });
}

const polygons: StoredRegion[] = Array.from({ length: 1000 }, (_, i) => ({
  uuid: `region-${i}`,
  categoryId: 1,
  geometry: {
    type: "polygons",
    polygons: [disc(100 + (i % 40) * 148, 100 + Math.floor(i / 40) * 156, 70)],
  },
  order: i,
  isCrowd: false,
  attributes: {},
  source: "bench",
  proposalId: null,
}));
const instance = open("instance", polygons);
const mixed = polygons.map((region, i) =>
  i % 2
    ? region
    : {
        ...region,
        geometry: { type: "mask", counts: instance.mask(region.uuid).counts() } as const,
      },
);
const masks = mixed.map((region) => ({
  ...region,
  geometry: { type: "mask", counts: instance.mask(region.uuid).counts() } as const,
}));
const panoptic = open("panoptic", masks);
const full = open("semantic", []);
full.edit("fill", (gesture) => {
  const { uuid } = gesture.add({ uuid: "full", categoryId: 1 });
  const spans = new Spans(SIZE);
  for (let x = 0; x < SIZE.width; x++) spans.add(x, 0, SIZE.height);
  gesture.paint(uuid, spans);
});

for (const radius of [5, 50, 200]) {
  describe(`one pointer event of 20 px, radius ${radius}`, () => {
    for (const [name, doc] of [
      ["instance", instance],
      ["panoptic", panoptic],
      ["full", full],
    ] as const) {
      for (const erase of [false, true]) {
        let x = 500;
        const nib = { shape: "round", radius, pressure: false } as const;
        const gesture = () => doc.gesture ?? doc.begin("bench");
        bench(
          `${name} ${erase ? "eraser" : "brush"}`,
          () => {
            const going = gesture();
            const target = doc.regions.at(-1)!.uuid;
            const spans = new Spans(SIZE);
            const from = { x, y: 1000 + (x % 700), pressure: 0.5 };
            x = x > 5500 ? 500 : x + 20;
            stroke(spans, nib, [{ x, y: 1000 + (x % 700), pressure: 0.5 }], from);
            if (!erase) going.paint(target, spans);
            else going.erase(doc.exclusive ? null : target, spans);
          },
          { time: 300, teardown: () => doc.gesture?.cancel() },
        );
      }
    }
  });
}

describe("steps", () => {
  bench(
    "open 1,000 regions, half masks, half polygons",
    () => {
      open("instance", mixed);
    },
    { iterations: 3, time: 100 },
  );
  for (const [name, doc] of [
    ["instance", instance],
    ["full", full],
  ] as const) {
    bench(
      `${name}: a stroke of 2,000 px, commit, undo`,
      () => {
        doc.edit("stroke", (gesture) => {
          const { uuid } = doc.exclusive ? gesture.add({ categoryId: 2 }) : doc.regions[0]!;
          if (!doc.exclusive) gesture.setMask(uuid, doc.mask(uuid));
          const spans = new Spans(SIZE);
          const samples = [500, 2500].map((x) => ({ x, y: x / 2, pressure: 0.5 }));
          stroke(spans, { shape: "round", radius: 50, pressure: false }, samples, null);
          gesture.paint(uuid, spans);
        });
        doc.undo();
      },
      { time: 500 },
    );
    bench(
      `${name}: undo and redo of that stroke`,
      () => {
        doc.redo();
        doc.undo();
      },
      { time: 500 },
    );
  }
  bench(
    "RLE of a full 24 MP mask with a hole",
    () => {
      full.mask("full").counts();
    },
    { time: 300 },
  );
});
