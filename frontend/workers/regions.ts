import type { Document } from "../core/document";
import type { Mask } from "../core/mask";
import type { Region, StoredRegion } from "../core/types";

/** What saving asks of a document. */

/** A region as it was right after a gesture; its mask is still to be encoded. */
export interface Snapshot {
  readonly uuid: string;
  readonly region: Region | null;
  readonly mask: Mask | null;
}

export function snapshot(doc: Document, uuid: string): Snapshot {
  const region = doc.region(uuid);
  return { uuid, region, mask: region?.geometry.type === "mask" ? doc.mask(uuid) : null };
}

/** Dismissed, or accepted into a region that does not name it: not to be offered again. */
export function isHandled(doc: Document, id: number): boolean {
  return (
    doc.proposalState(id) !== "open" && !doc.regions.some(({ proposalId }) => proposalId === id)
  );
}

export function sameRegion(a: StoredRegion, b: StoredRegion): boolean {
  const comparable = ({ proposalId: _, ...rest }: StoredRegion) =>
    JSON.stringify(Object.entries(rest).sort(([x], [y]) => (x < y ? -1 : 1)));
  return comparable(a) === comparable(b);
}

/** Puts the server's regions into the document, null for deleted ones. */
export function showTheirs(doc: Document, theirs: ReadonlyMap<string, StoredRegion | null>): void {
  doc.edit("Take theirs", (gesture) => gesture.replace(theirs), "server");
}
