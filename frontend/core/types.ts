/** The words that all of the front end shares. No DOM here, nor anywhere in `core/`. */

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Integer pixels, half open: x ≤ px < x + width. */
export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Float pixels of the upright image, x right, y down. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A flat [x0, y0, x1, y1, …], implicitly closed. */
export type Ring = readonly number[];
/** The outside ring, then its holes. */
export type Polygon = readonly Ring[];

/** COCO compressed RLE; size is [height, width]. */
export interface Rle {
  readonly size: readonly [number, number];
  readonly counts: string;
}

/** A geometry as it is stored and sent. */
export type Geometry =
  | { readonly type: "polygons"; readonly polygons: readonly Polygon[] }
  | { readonly type: "mask"; readonly counts: string };

/** A geometry inside an open document: the pixels of a mask are in `Document.mask(uuid)`. */
export type Shape =
  | { readonly type: "polygons"; readonly polygons: readonly Polygon[] }
  | { readonly type: "mask" };

export type ProjectKind = "semantic" | "instance" | "panoptic";

/** What each region of a category carries under a name; the server's `annotations/attributes.py`. */
export interface Attribute {
  readonly name: string;
  readonly type: "text" | "choice" | "number" | "checkbox";
  /** Nothing is submitted without it. */
  readonly required: boolean;
  /** Of new regions; null: none. */
  readonly default: string | number | boolean | null;
  /** The texts that a choice may be. */
  readonly choices: readonly string[];
}

/** A region's attributes. */
export type Values = Readonly<Record<string, unknown>>;

export interface Category {
  readonly id: number;
  readonly name: string;
  readonly color: string;
  readonly hotkey: string;
  readonly isThing: boolean;
  readonly archived: boolean;
  /** What its regions carry; empty: anything. */
  readonly attributes: readonly Attribute[];
}

/** What is known of a region besides its geometry. */
export interface RegionFields {
  readonly uuid: string;
  readonly categoryId: number;
  /** Greater is in front. */
  readonly order: number;
  readonly isCrowd: boolean;
  readonly attributes: Values;
  /** The tool that made the geometry, or import. */
  readonly source: string;
  /** The proposal it was accepted from. */
  readonly proposalId: number | null;
}

/** A region as the server and the outbox hold it. */
export interface StoredRegion extends RegionFields {
  readonly geometry: Geometry;
}

/**
 * One region of the document, never changed in place. `slot` (1…65535) is its value in the label
 * map while it is open; it never leaves the client. `bbox` and `area` are those of its pixels; in
 * the middle of a gesture they may be those of its start.
 */
export interface Region extends RegionFields {
  readonly slot: number;
  readonly geometry: Shape;
  readonly bbox: Rect;
  /** Pixels. */
  readonly area: number;
}

export interface Proposal {
  readonly id: number;
  readonly categoryId: number | null;
  readonly geometry: Geometry;
  readonly bbox: Rect;
  readonly score: number;
  readonly isCrowd: boolean;
  readonly model: string;
}

/** What a listener must redraw or save after the document changed. */
export interface Change {
  /** Pixels of the label map that differ, null when none does. */
  readonly dirty: Rect | null;
  /** Regions that were added, removed or changed. */
  readonly regions: readonly string[];
  /** Proposals whose state changed. */
  readonly proposals: readonly number[];
  /** False while a gesture is still going on or when it was cancelled; saving waits for true. */
  readonly final: boolean;
  /** `server`: the server has it already, do not save. */
  readonly origin: "edit" | "server";
}

/** Open: neither accepted nor dismissed. */
export type ProposalState = "open" | "accepted" | "dismissed";

/** What a person gave the assist tool. Pixels of the upright image. */
export interface Prompts {
  readonly points: readonly {
    readonly x: number;
    readonly y: number;
    readonly positive: boolean;
  }[];
  readonly box: Rect | null;
  /** The mask to refine. */
  readonly mask: Rle | null;
}

export interface Candidate {
  readonly mask: Rle;
  /** 0…1. */
  readonly score: number;
  /** The model that proposes it, and the beginning of its hash. */
  readonly by?: string;
}

export interface PointerSample extends Point {
  /** 0…1; 0.5 for a mouse. */
  readonly pressure: number;
}

export interface Modifiers {
  readonly shift: boolean;
  /** Alt, or the right button in place of the left one. */
  readonly alt: boolean;
  readonly ctrl: boolean;
}

/** What a tool wants drawn over the picture: the canvas knows how, the tool knows what. */
export type Overlay =
  | {
      readonly kind: "path";
      readonly points: readonly number[];
      readonly closed: boolean;
      readonly style: "draft" | "edge" | "cut" | "guide";
    }
  | {
      readonly kind: "handle";
      readonly x: number;
      readonly y: number;
      readonly style: "vertex" | "midpoint" | "active" | "positive" | "negative";
    }
  | {
      readonly kind: "circle";
      readonly x: number;
      readonly y: number;
      readonly radius: number;
      readonly style: "brush" | "eraser";
    }
  | {
      readonly kind: "square";
      readonly x: number;
      readonly y: number;
      readonly radius: number;
      readonly style: "brush" | "eraser";
    }
  | {
      readonly kind: "box";
      readonly x: number;
      readonly y: number;
      readonly width: number;
      readonly height: number;
      readonly style: "draft" | "selection";
    }
  | {
      readonly kind: "mask";
      readonly counts: string;
      readonly size: readonly [number, number];
      readonly style: "preview" | "hover" | "proposal";
    };

/**
 * A tool is a small state machine. It gets input in image pixels, changes the document through
 * gestures only, and says what to draw over the picture. `scale` in its context is screen pixels
 * per image pixel, for hit distances.
 */
export interface Tool {
  readonly name: string;
  readonly cursor: "none" | "crosshair" | "default" | "move" | "grab";
  /** All coalesced samples since the last event, oldest first. Moves come while hovering too. */
  pointerDown(samples: readonly PointerSample[], modifiers: Modifiers): void;
  pointerMove(samples: readonly PointerSample[], modifiers: Modifiers): void;
  pointerUp(samples: readonly PointerSample[], modifiers: Modifiers): void;
  /** `key` as KeyboardEvent.key; true when the tool used it. */
  key(key: string, modifiers: Modifiers): boolean;
  /** Takes the gesture back to its start; true when there was one. */
  cancel(): boolean;
  overlays(): readonly Overlay[];
  /** How far it has got, in plain words; empty: nothing to say. */
  says?(): string;
}
