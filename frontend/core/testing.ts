import { createHash } from "node:crypto";
import { Document, type DocumentOptions } from "./document";
import type { Mask } from "./mask";
import { Spans } from "./spans";
import type { Rect, Size } from "./types";

/** Helpers of the tests next to the code. */

export function newDocument(options: Partial<DocumentOptions> = {}): Document {
  let count = 0;
  return new Document({
    size: { width: 200, height: 150 },
    kind: "semantic",
    isThing: (categoryId) => categoryId >= 10,
    newUuid: () => `00000000-0000-4000-8000-${String(++count).padStart(12, "0")}`,
    ...options,
  });
}

export function rectSpans(size: Size, { x, y, width, height }: Rect): Spans {
  const spans = new Spans(size);
  for (let column = x; column < x + width; column++) spans.add(column, y, y + height);
  return spans;
}

/** Row-major 0/1 of the whole image. */
export function pixels(mask: Mask): Uint8Array {
  return mask.bitmap({ x: 0, y: 0, ...mask.size });
}

/** All that undo and redo must bring back, in a form that compares. */
export function picture(doc: Document): string {
  return JSON.stringify({
    labels: createHash("sha1").update(flatLabels(doc)).digest("hex"),
    regions: doc.regions.map((region) => ({ ...region, counts: doc.mask(region.uuid).counts() })),
    proposals: doc.proposals.map(({ id }) => doc.proposalState(id)),
  });
}

/** The label map row by row. */
export function flatLabels({ labels, size }: Document): Uint16Array {
  const flat = new Uint16Array(size.width * size.height);
  for (let i = 0; i < flat.length; i++) {
    flat[i] = labels.get(i % size.width, Math.floor(i / size.width));
  }
  return flat;
}

/** Throws unless the label map is what the masks say, and areas and boxes are right. */
export function checkDocument(doc: Document): void {
  const labels = flatLabels(doc);
  const composite = new Uint16Array(labels.length);
  for (const region of doc.regions) {
    const mask = doc.mask(region.uuid);
    const bits = pixels(mask);
    let area = 0;
    bits.forEach((bit, i) => {
      if (!bit) return;
      if (doc.exclusive && composite[i]) throw new Error(`Two regions share pixel ${i}.`);
      composite[i] = region.slot;
      area++;
    });
    if (area !== region.area) throw new Error(`Area ${region.area} instead of ${area}.`);
    if (area === 0 && region.geometry.type === "mask") throw new Error("A mask without pixels.");
    const [a, b] = [JSON.stringify(mask.bbox()), JSON.stringify(region.bbox)];
    if (a !== b) throw new Error(`Box ${b} instead of ${a}.`);
    for (let i = 0; i < bits.length; i++) {
      const { x, y, width, height } = region.bbox;
      const [px, py] = [i % doc.size.width, Math.floor(i / doc.size.width)];
      if (bits[i] && (px < x || py < y || px >= x + width || py >= y + height)) {
        throw new Error("A pixel outside of the box.");
      }
    }
  }
  const wrong = composite.findIndex((slot, i) => slot !== labels[i]);
  if (wrong >= 0)
    throw new Error(`Label ${labels[wrong]} instead of ${composite[wrong]} at ${wrong}.`);
}
