import { carried } from "../attributes";
import type { Document } from "../document";
import { floodLabel } from "../flood";
import type { Gesture } from "../gesture";
import { polygonsOf } from "../hittest";
import { Mask } from "../mask";
import { rasterize } from "../rasterize";
import { growRect, intersects } from "../rect";
import type { Point, Rect, Region } from "../types";
import { parts } from "./components";
import { maskToPolygons } from "./contours";
import { grow, shrink } from "./morphology";
import { splitMask, splitPolygons } from "./split";
import { movePolygons } from "./vertices";

/**
 * What can be done with whole regions. Each is one gesture; each throws an Error in plain words, and
 * changes nothing, where it cannot be done.
 */

/** Makes a polygon region a mask of the same pixels. */
export function convertToMask(doc: Document, uuid: string): void {
  doc.edit("Convert to mask", (gesture) => gesture.setMask(uuid, doc.mask(uuid)));
}

/** Makes a mask region polygons; returns the IoU of the new pixels with the old ones. */
export function convertToPolygons(doc: Document, uuid: string, tolerance: number): number {
  if (doc.exclusive) throw new Error("Every region of this project is a mask.");
  const { polygons, iou } = maskToPolygons(doc.mask(uuid), tolerance);
  if (polygons.length === 0) throw new Error("With that tolerance nothing of the region is left.");
  doc.edit("Convert to polygons", (gesture) => gesture.setPolygons(uuid, polygons));
  return iou;
}

/** Changes the mask of each region, such as by `grow` or `fillHoles` of ops/morphology. */
export function changeMasks(
  doc: Document,
  title: string,
  uuids: readonly string[],
  change: (mask: Mask) => Mask,
  locks?: Uint8Array,
): void {
  doc.edit(title, (gesture) => {
    for (const uuid of uuids) gesture.setMask(uuid, change(doc.mask(uuid)), locks);
  });
}

/**
 * Gives regions another category, with those of its attributes that they have; where the project has
 * only one region of it, they join that one.
 */
export function setCategory(doc: Document, uuids: readonly string[], categoryId: number): void {
  doc.edit("Change category", (gesture) => {
    for (const uuid of uuids) {
      const only = doc.only(categoryId);
      if (only && only.uuid !== uuid) gesture.paint(only.uuid, doc.mask(uuid));
      else {
        const region = doc.region(uuid)!;
        const from = doc.attributesOf(region.categoryId);
        const attributes = carried(from, doc.attributesOf(categoryId), region.attributes);
        gesture.update(uuid, { categoryId, attributes });
      }
    }
  });
}

/** Everything of the others goes into the first one. */
export function merge(doc: Document, uuids: readonly string[]): void {
  const [first, ...others] = known(doc, uuids);
  if (!first || others.length === 0) throw new Error("Select two regions or more to merge.");
  doc.edit("Merge", (gesture) => {
    const all = [first, ...others];
    if (all.every(({ geometry }) => geometry.type === "polygons")) {
      for (const { uuid } of others) gesture.remove(uuid);
      gesture.setPolygons(first.uuid, all.flatMap(polygonsOf));
      return;
    }
    const union = all.reduce((sum, { uuid }) => sum.union(doc.mask(uuid)), new Mask(doc.size));
    for (const { uuid } of others) gesture.remove(uuid);
    gesture.setMask(first.uuid, union);
  });
}

/** Takes the pixels of the others away from the first one, which then is a mask. */
export function subtract(doc: Document, uuids: readonly string[]): void {
  const [first, ...others] = known(doc, uuids);
  if (!first || others.length === 0) throw new Error("Select the region, then what to subtract.");
  const left = others.reduce(
    (rest, { uuid }) => rest.subtract(doc.mask(uuid)),
    doc.mask(first.uuid),
  );
  if (left.isEmpty) throw new Error("Nothing of the region would be left.");
  doc.edit("Subtract", (gesture) => gesture.setMask(first.uuid, left));
}

/** Copies of the regions, a little aside; returns their UUIDs. */
export function duplicate(doc: Document, uuids: readonly string[], by = 10): string[] {
  if (doc.exclusive) throw new Error("In this project a pixel belongs to one region only.");
  return doc.edit("Duplicate", (gesture) =>
    known(doc, uuids).map((region) => {
      const { width, height } = doc.size;
      const { bbox } = region;
      const dx = bbox.x + bbox.width + by <= width ? by : -Math.min(by, bbox.x);
      const dy = bbox.y + bbox.height + by <= height ? by : -Math.min(by, bbox.y);
      const copy = gesture.add({ ...draft(region), proposalId: null });
      if (region.geometry.type === "mask") {
        gesture.setMask(copy.uuid, doc.mask(region.uuid).shift(dx, dy));
      } else gesture.setPolygons(copy.uuid, movePolygons(region.geometry.polygons, dx, dy));
      return copy.uuid;
    }),
  );
}

/** Before or behind all others. Instance projects. */
export function reorder(doc: Document, uuids: readonly string[], to: "front" | "back"): void {
  const orders = doc.regions.map(({ order }) => order);
  let next = to === "front" ? Math.max(0, ...orders) + 1 : Math.min(0, ...orders) - uuids.length;
  const moved = doc.regions.filter(({ uuid }) => uuids.includes(uuid));
  doc.edit(to === "front" ? "Bring to front" : "Send to back", (gesture) => {
    for (const { uuid } of moved) gesture.update(uuid, { order: next++ });
  });
}

/** Cuts a region along the line; returns the UUID of the new part. */
export function splitByLine(doc: Document, uuid: string, a: Point, b: Point): string {
  const region = doc.region(uuid);
  if (!region) throw new Error("That region is not there.");
  needsMany(doc, region);
  const split =
    region.geometry.type === "polygons" ? splitPolygons(region.geometry.polygons, a, b) : null;
  if (split) {
    const [mine, other] = split;
    if (mine.length === 0 || other.length === 0) throw new Error(MISSED);
    return doc.edit("Split", (gesture) => {
      gesture.setPolygons(uuid, mine);
      return gesture.add({ ...draft(region), polygons: other }).uuid;
    });
  }
  const [mine, other] = splitMask(doc.mask(uuid), a, b);
  if (mine.isEmpty || other.isEmpty) throw new Error(MISSED);
  return doc.edit("Split", (gesture) => {
    gesture.setMask(uuid, mine);
    return addMask(gesture, region, other);
  });
}

const MISSED = "The line does not cut the region.";

/** Makes each connected part a region of its own; returns the UUIDs of the new ones. */
export function splitParts(doc: Document, uuid: string): string[] {
  const region = doc.region(uuid);
  if (!region) throw new Error("That region is not there.");
  needsMany(doc, region);
  const [largest, ...others] = parts(doc.mask(uuid));
  if (!largest || others.length === 0) throw new Error("The region is in one piece.");
  return doc.edit("Split parts", (gesture) => {
    gesture.setMask(uuid, largest);
    return others.map((part) => addMask(gesture, region, part));
  });
}

/**
 * Fits a region to its neighbours: what lies over them is cut off, and gaps of at most `gap` pixels
 * between it and them are filled. It then is a mask.
 */
export function trimToNeighbours(doc: Document, uuid: string, gap: number): void {
  const region = doc.region(uuid);
  if (!region) throw new Error("That region is not there.");
  const near = growRect(region.bbox, gap + 1, doc.size);
  const neighbours = doc.regions.filter((one) => one.uuid !== uuid && intersects(one.bbox, near));
  if (neighbours.length === 0) throw new Error("The region has no neighbour that near.");
  const mine = doc.mask(uuid);
  const window = boxMask(doc, near);
  const others = neighbours
    .reduce((sum, one) => sum.union(doc.mask(one.uuid)), new Mask(doc.size))
    .intersect(window);
  const all = mine.union(others);
  const closed = shrink(grow(all, gap), gap);
  // Only what lies between the two, not the bays of its own outline.
  const between = closed.subtract(all).intersect(grow(mine, gap)).intersect(grow(others, gap));
  const fitted = mine.subtract(others).union(between);
  if (fitted.isEmpty) throw new Error("The region lies wholly under its neighbours.");
  doc.edit("Trim to neighbours", (gesture) => gesture.setMask(uuid, fitted));
}

/** Pixels that belong to no region. Exclusive projects. */
export function unlabeledPixels(doc: Document): number {
  const labeled = doc.regions.reduce((sum, { area }) => sum + area, 0);
  return doc.size.width * doc.size.height - labeled;
}

/** The box of the next unlabeled area in reading order after `after`; null when there is none. */
export function nextUnlabeled(doc: Document, after: Point | null): Rect | null {
  const { labels } = doc;
  const at =
    (after && labels.find(0, Math.floor(after.x) + 1, Math.floor(after.y))) ?? labels.find(0, 0, 0);
  return at && floodLabel(labels, at.x, at.y).bbox();
}

function known(doc: Document, uuids: readonly string[]): Region[] {
  return uuids.flatMap((uuid) => doc.region(uuid) ?? []);
}

function needsMany(doc: Document, region: Region): void {
  if (doc.isSingle(region.categoryId)) {
    throw new Error(
      "This project has one region per category: choose another category for a part.",
    );
  }
}

function draft({ categoryId, isCrowd, attributes, source, proposalId }: Region) {
  return { categoryId, isCrowd, attributes, source, proposalId };
}

function addMask(gesture: Gesture, like: Region, mask: Mask): string {
  const { uuid } = gesture.add(draft(like));
  gesture.setMask(uuid, mask);
  return uuid;
}

function boxMask(doc: Document, { x, y, width, height }: Rect): Mask {
  return rasterize([[[x, y, x + width, y, x + width, y + height, x, y + height]]], doc.size);
}
