import type { Document } from "./document";
import { geometryMask } from "./loading";
import type { StoredRegion } from "./types";

/** One write of a region, as the server tells it. */
export interface Revision {
  /** Greater is later, within one annotation. */
  readonly id: number;
  readonly region: string;
  readonly category: number;
  /** 1 made the region. */
  readonly version: number;
  readonly author: string;
  /** ISO 8601. */
  readonly at: string;
  /** The tool, or import. */
  readonly source: string;
  /** Whose proposal the region was accepted from, or empty. */
  readonly model: string;
  readonly model_version: string;
  readonly deleted: boolean;
}

/** What was saved at once: one line of the timeline. */
export interface Step {
  /** Of its newest revision: how things were right after the step. */
  readonly id: number;
  readonly author: string;
  readonly at: string;
  readonly regions: readonly string[];
  readonly made: number;
  readonly changed: number;
  readonly deleted: number;
  /** Tools and models, each once. */
  readonly sources: readonly string[];
}

/** Revisions of one patch are written within far less, patches of one person further apart. */
const SAME_PATCH_MS = 200;

/** Both newest first. */
export function stepsOf(revisions: readonly Revision[]): Step[] {
  const groups: Revision[][] = [];
  for (const revision of revisions) {
    const last = groups.at(-1);
    if (last && savedTogether(last.at(-1)!, revision)) last.push(revision);
    else groups.push([revision]);
  }
  return groups.map(stepOf);
}

function savedTogether(later: Revision, earlier: Revision): boolean {
  const gap = Date.parse(later.at) - Date.parse(earlier.at);
  return later.author === earlier.author && gap < SAME_PATCH_MS;
}

function stepOf(revisions: readonly Revision[]): Step {
  const { id, author, at } = revisions[0]!;
  const written = revisions.filter(({ deleted }) => !deleted);
  const made = written.filter(({ version }) => version === 1).length;
  return {
    id,
    author,
    at,
    regions: [...new Set(revisions.map(({ region }) => region))],
    made,
    changed: written.length - made,
    deleted: revisions.length - written.length,
    sources: [...new Set(written.map(sourceOf))],
  };
}

/** A proposal names its model; what people do to it afterwards is theirs. */
function sourceOf({ source, model, model_version }: Revision): string {
  if (source !== "proposal" || !model) return source;
  return model_version ? `${model} ${model_version}` : model;
}

/** The source of a region that was brought back. */
export const RESTORED = "restore";

/**
 * What has to be written so that the document is as it was: null takes a region away. `then` are all
 * regions of that state.
 */
export function differences(
  doc: Document,
  then: readonly StoredRegion[],
): Map<string, StoredRegion | null> {
  const found = new Map<string, StoredRegion | null>();
  const known = new Set(then.map(({ uuid }) => uuid));
  for (const { uuid } of doc.regions) if (!known.has(uuid)) found.set(uuid, null);
  for (const region of then) {
    if (!sameRegion(doc.stored(region.uuid), region)) {
      found.set(region.uuid, { ...region, source: RESTORED });
    }
  }
  return found;
}

/** Makes the document what it was: one undo step. Throws, and changes nothing, where it may not. */
export function restoreAll(
  doc: Document,
  then: readonly StoredRegion[],
  locked: (uuid: string) => boolean,
): number {
  const changes = differences(doc, then);
  if ([...changes.keys()].some(locked)) {
    throw new Error("A locked region would change. Unlock it first.");
  }
  if (changes.size > 0) doc.edit("Restore the image", (gesture) => gesture.replace(changes));
  return changes.size;
}

/**
 * Makes one region what it was, null: not there. Where a category has one region only, another one of
 * it takes the pixels. `mayPaint` says by slot which pixels it may take back.
 */
export function restoreOne(
  doc: Document,
  uuid: string,
  then: StoredRegion | null,
  mayPaint: Uint8Array,
): boolean {
  const now = doc.region(uuid);
  if (!then && !now) return false;
  if (then && sameRegion(doc.stored(uuid), then)) return false;
  if (now && !mayPaint[now.slot]) throw new Error("The region is locked. Unlock it first.");
  doc.edit("Restore the region", (gesture) => {
    if (!then) return gesture.remove(uuid);
    const only = doc.only(then.categoryId);
    if (only && only.uuid !== uuid && now) gesture.remove(uuid);
    const target = only?.uuid ?? uuid;
    const { geometry, uuid: _, ...fields } = { ...then, source: RESTORED };
    if (doc.region(target)) gesture.update(target, fields);
    else gesture.add({ ...fields, uuid });
    if (geometry.type === "polygons" && !doc.exclusive) {
      gesture.setPolygons(target, geometry.polygons);
    } else gesture.setMask(target, geometryMask(geometry, doc.size), mayPaint);
  });
  return true;
}

function sameRegion(now: StoredRegion | null, then: StoredRegion): boolean {
  if (!now) return false;
  return comparable(now) === comparable(then);
}

/** All but the tool: a region that came back by undo is the same. */
function comparable({ categoryId, order, isCrowd, attributes, geometry }: StoredRegion): string {
  const named = Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([categoryId, order, isCrowd, named, geometry]);
}
