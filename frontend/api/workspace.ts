import type { Category, Geometry, Rect } from "../core/types";
import type { components } from "./schema";

/** The shapes of `docs/architecture.md` as JSON brings them, and how they become our words. */

type Schemas = components["schemas"];
export type Workspace = Schemas["Workspace"];
export type ApiProposal = Schemas["Proposal"];
export type ApiComment = Schemas["Comment"];

export type ApiModel = Schemas["Model"];

export function geometryOf({ mask, polygons }: Pick<ApiProposal, "mask" | "polygons">): Geometry {
  return mask
    ? { type: "mask", counts: mask.counts }
    : { type: "polygons", polygons: polygons ?? [] };
}

/** The smallest rectangle of whole pixels around a box of floats. */
function rectOf([left = 0, top = 0, width = 0, height = 0]: readonly number[]): Rect {
  const x = Math.floor(left);
  const y = Math.floor(top);
  return { x, y, width: Math.ceil(left + width) - x, height: Math.ceil(top + height) - y };
}

export function categoryOf(json: Schemas["Category"]): Category {
  return {
    id: json.id,
    name: json.name,
    color: json.color,
    hotkey: json.hotkey ?? "",
    isThing: json.is_thing ?? true,
    archived: json.archived,
    attributes: (json.attributes ?? []).map((one) => ({
      ...one,
      default: one.default ?? null,
      choices: one.choices ?? [],
    })),
  };
}

export function proposalOf(json: ApiProposal) {
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
