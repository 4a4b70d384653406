import type { Polygon, Size, StoredRegion } from "../core/types";

/** JSON of the save protocol (docs/architecture.md) to our words and back. */

export interface SaveReply {
  readonly status: number;
  /** Parsed JSON, or null. */
  readonly body: unknown;
  /** From Retry-After. */
  readonly retryAfterSeconds?: number;
}

/** `path` begins with /api/. Rejects when no answer came. */
export type Send = (method: "GET" | "POST", path: string, body?: unknown) => Promise<SaveReply>;

export interface WireRegion {
  readonly uuid: string;
  readonly category: number;
  readonly mask?: { readonly size: readonly [number, number]; readonly counts: string } | null;
  readonly polygons?: readonly Polygon[] | null;
  readonly is_crowd: boolean;
  readonly order: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly source: string;
  readonly proposal: number | null;
  readonly version: number;
  readonly author: string | { readonly username: string } | null;
  readonly deleted?: boolean;
}

export interface SavedRegion {
  readonly region: string;
  readonly version: number;
  readonly deleted: boolean;
}

export interface WireConflict {
  readonly region: string;
  readonly theirs: WireRegion | null;
}

/** What a refusal says; fields that the reply lacks are empty. */
export interface Refusal {
  readonly code: string;
  readonly detail: string;
  readonly field: string;
  readonly hint: string;
  readonly region: string | null;
  readonly regions: readonly string[];
  readonly conflicts: readonly WireConflict[];
}

export function refusalOf({ status, body }: SaveReply): Refusal {
  const said = (typeof body === "object" && body !== null ? body : {}) as Partial<Refusal>;
  return {
    code: said.code ?? "error",
    detail: said.detail ?? `The server answered ${status}.`,
    field: said.field ?? "",
    hint: said.hint ?? "",
    region: said.region ?? null,
    regions: said.regions ?? [],
    conflicts: said.conflicts ?? [],
  };
}

export function regionFromWire(json: WireRegion): StoredRegion {
  return {
    uuid: json.uuid,
    categoryId: json.category,
    geometry: json.mask
      ? { type: "mask", counts: json.mask.counts }
      : { type: "polygons", polygons: json.polygons ?? [] },
    order: json.order,
    isCrowd: json.is_crowd,
    attributes: json.attributes,
    source: json.source,
    proposalId: json.proposal,
  };
}

export function regionToWire(region: StoredRegion, { width, height }: Size) {
  const { geometry } = region;
  return {
    category: region.categoryId,
    ...(geometry.type === "mask"
      ? { mask: { size: [height, width], counts: geometry.counts } }
      : { polygons: geometry.polygons }),
    is_crowd: region.isCrowd,
    order: region.order,
    attributes: region.attributes,
    source: region.source,
    proposal: region.proposalId,
  };
}

export function authorOf(json: WireRegion | null): string {
  const author = json?.author ?? null;
  return typeof author === "string" ? author : (author?.username ?? "");
}
