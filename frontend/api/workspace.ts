import type { Category, Geometry, Polygon, ProjectKind, Proposal, Rect, Rle } from "../core/types";

/** The shapes of `docs/architecture.md`, as JSON brings them. */

export type Role = "annotator" | "reviewer" | "manager" | "owner";
export type AnnotationStatus = "in_progress" | "submitted" | "sent_back" | "approved";

export interface ApiCategory {
  readonly id: number;
  readonly name: string;
  readonly supercategory: string;
  readonly color: string;
  readonly hotkey: string;
  readonly is_thing: boolean;
  readonly order: number;
  readonly archived: boolean;
}

interface ApiGeometry {
  readonly mask?: Rle | null;
  readonly polygons?: readonly Polygon[] | null;
}

export interface ApiRegion extends ApiGeometry {
  readonly uuid: string;
  readonly category: number;
  readonly area: number;
  readonly bbox: readonly [number, number, number, number];
  readonly is_crowd: boolean;
  readonly order: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly source: string;
  readonly proposal: number | null;
  readonly version: number;
  readonly author: string | { readonly id: number; readonly username: string } | null;
}

export interface ApiProposal extends ApiGeometry {
  readonly id: number;
  readonly category: number | null;
  readonly area: number;
  readonly bbox: readonly [number, number, number, number];
  readonly score: number;
  readonly is_crowd: boolean;
  readonly model: string;
  readonly model_version: string;
}

export interface ApiReview {
  readonly verdict: "approve" | "send_back" | "reopen";
  readonly comment: string;
  readonly reviewer: string | { readonly username: string };
  readonly at: string;
  readonly revision: number;
}

export interface ApiComment {
  readonly id: number;
  readonly text: string;
  readonly x: number | null;
  readonly y: number | null;
  readonly region: string | null;
  readonly author: string | { readonly username: string };
  readonly at: string;
  readonly resolved: boolean;
}

export interface ApiAnnotation {
  readonly id: number;
  readonly status: AnnotationStatus;
  readonly revision: number;
  readonly annotator: { readonly id: number; readonly username: string };
  readonly editable: boolean;
  readonly reviewable: boolean;
  readonly regions: readonly ApiRegion[];
  readonly dismissed: readonly number[];
  readonly reviews: readonly ApiReview[];
  readonly comments: readonly ApiComment[];
}

export interface Workspace {
  readonly project: {
    readonly id: number;
    readonly name: string;
    readonly kind: ProjectKind;
    readonly guidelines: string;
    readonly role: Role;
  };
  readonly image: {
    readonly id: number;
    readonly uuid: string;
    readonly name: string;
    readonly width: number;
    readonly height: number;
    readonly status: string;
    readonly url: string;
    readonly thumbnail_url: string;
  };
  readonly categories: readonly ApiCategory[];
  readonly annotation: ApiAnnotation | null;
  readonly proposals: readonly ApiProposal[];
  readonly previous: number | null;
  readonly next: number | null;
  readonly position: number;
  readonly total: number;
}

export interface ApiModel {
  readonly id: number;
  readonly name: string;
  readonly engine: string;
  readonly state: string;
  readonly reason: string;
  readonly device: string;
}

export interface Candidates {
  readonly model: string;
  readonly candidates: readonly { readonly mask: Rle; readonly score: number }[];
  readonly seconds: number;
}

export function nameOf(person: string | { readonly username: string } | null): string {
  return typeof person === "string" ? person : (person?.username ?? "");
}

function geometryOf(json: ApiGeometry): Geometry {
  return json.mask
    ? { type: "mask", counts: json.mask.counts }
    : { type: "polygons", polygons: json.polygons ?? [] };
}

/** The smallest rectangle of whole pixels around a box of floats. */
function rectOf(bbox: readonly [number, number, number, number]): Rect {
  const x = Math.floor(bbox[0]);
  const y = Math.floor(bbox[1]);
  return {
    x,
    y,
    width: Math.ceil(bbox[0] + bbox[2]) - x,
    height: Math.ceil(bbox[1] + bbox[3]) - y,
  };
}

export function categoryOf(json: ApiCategory): Category {
  return {
    id: json.id,
    name: json.name,
    color: json.color,
    hotkey: json.hotkey,
    isThing: json.is_thing,
    archived: json.archived,
  };
}

/** Everything of a region but its slot, which the document gives. */
export function regionOf(json: ApiRegion) {
  return {
    uuid: json.uuid,
    categoryId: json.category,
    geometry: geometryOf(json),
    bbox: rectOf(json.bbox),
    order: json.order,
    isCrowd: json.is_crowd,
    attributes: json.attributes,
    source: json.source,
    proposalId: json.proposal,
  };
}

export function proposalOf(json: ApiProposal): Proposal {
  return {
    id: json.id,
    categoryId: json.category,
    geometry: geometryOf(json),
    bbox: rectOf(json.bbox),
    score: json.score,
    isCrowd: json.is_crowd,
    model: json.model,
  };
}
