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

export type Geometry =
  | { readonly type: "polygons"; readonly polygons: readonly Polygon[] }
  | { readonly type: "mask"; readonly counts: string };

export type ProjectKind = "semantic" | "instance" | "panoptic";

export interface Category {
  readonly id: number;
  readonly name: string;
  readonly color: string;
  readonly hotkey: string;
  readonly isThing: boolean;
  readonly archived: boolean;
}

/**
 * One region of the document. `slot` (1…65535) is its value in the label map while it is open; it
 * never leaves the client.
 */
export interface Region {
  readonly uuid: string;
  readonly slot: number;
  readonly categoryId: number;
  readonly geometry: Geometry;
  readonly bbox: Rect;
  readonly order: number;
  readonly isCrowd: boolean;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly source: string;
  readonly proposalId: number | null;
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
  /** False while a gesture is still going on; saving waits for true. */
  readonly final: boolean;
}

export interface PointerSample extends Point {
  /** 0…1; 0.5 for a mouse. */
  readonly pressure: number;
}

export interface Modifiers {
  readonly shift: boolean;
  readonly alt: boolean;
  readonly ctrl: boolean;
}

/** What a tool wants drawn over the picture: the canvas knows how, the tool knows what. */
export type Overlay =
  | { readonly kind: "path"; readonly points: readonly number[]; readonly closed: boolean; readonly style: "draft" | "edge" | "cut" | "guide" }
  | { readonly kind: "handle"; readonly x: number; readonly y: number; readonly style: "vertex" | "midpoint" | "active" | "positive" | "negative" }
  | { readonly kind: "circle"; readonly x: number; readonly y: number; readonly radius: number; readonly style: "brush" | "eraser" }
  | { readonly kind: "square"; readonly x: number; readonly y: number; readonly radius: number; readonly style: "brush" | "eraser" }
  | { readonly kind: "box"; readonly x: number; readonly y: number; readonly width: number; readonly height: number; readonly style: "draft" | "selection" }
  | { readonly kind: "mask"; readonly counts: string; readonly size: readonly [number, number]; readonly style: "preview" | "proposal" };

/**
 * A tool is a small state machine. It gets input in image pixels, changes the document through
 * gestures only, and says what to draw over the picture. `scale` in its context is screen pixels
 * per image pixel, for hit distances.
 */
export interface Tool {
  readonly name: string;
  readonly cursor: "none" | "crosshair" | "default" | "move" | "grab";
  /** All coalesced samples since the last event, oldest first. */
  pointerDown(samples: readonly PointerSample[], modifiers: Modifiers): void;
  pointerMove(samples: readonly PointerSample[], modifiers: Modifiers): void;
  pointerUp(samples: readonly PointerSample[], modifiers: Modifiers): void;
  /** `key` as KeyboardEvent.key; true when the tool used it. */
  key(key: string, modifiers: Modifiers): boolean;
  /** Takes the gesture back to its start; true when there was one. */
  cancel(): boolean;
  overlays(): readonly Overlay[];
}
