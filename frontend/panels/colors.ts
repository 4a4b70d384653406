import {
  HIDDEN,
  HIGHLIGHTED,
  LOCKED,
  PALETTE_SIDE,
  type Palette,
  SELECTED,
} from "../canvas/renderer";
import type { Document } from "../core/document";
import type { Category, Region } from "../core/types";
import type { View } from "../core/view";

export type Rgb = readonly [number, number, number];

export const NO_CATEGORY: Rgb = [160, 160, 160];

/** The colour of "#rrggbb"; grey for anything else. */
export function rgbOf(color: string): Rgb {
  const value = /^#[0-9a-f]{6}$/i.test(color) ? Number.parseInt(color.slice(1), 16) : null;
  if (value === null) return NO_CATEGORY;
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/**
 * A colour for the nth object: hues a golden angle apart, three lightnesses, so that neighbours in
 * the list differ for colour-blind eyes too.
 */
export function objectColor(index: number): Rgb {
  const hue = (index * 137.508) % 360;
  const lightness = [0.55, 0.7, 0.42][index % 3] ?? 0.55;
  const chroma = 0.8 * Math.min(lightness, 1 - lightness);
  const channel = (offset: number) => {
    const k = (offset + hue / 30) % 12;
    return Math.round(255 * (lightness - chroma * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}

/** Keeps the palette of the label map equal to the document and to what the person looks at. */
export class Painter {
  readonly palette: Palette = new Uint8Array(PALETTE_SIDE * PALETTE_SIDE * 4);
  private colors = new Map<number, Rgb>();
  /** The region under the pointer. */
  highlighted: string | null = null;

  setCategories(categories: readonly Category[]): void {
    this.colors = new Map(categories.map((category) => [category.id, rgbOf(category.color)]));
  }

  colorOf(region: Region, view: View): Rgb {
    if (view.state.colorBy === "region") return objectColor(region.slot);
    return this.colors.get(region.categoryId) ?? NO_CATEGORY;
  }

  repaint(doc: Document, view: View): void {
    this.palette.fill(0);
    for (const region of doc.regions) this.paint(region, view);
  }

  /** True when the entry of this region was another one. */
  paint(region: Region, view: View): boolean {
    const [red, green, blue] = this.colorOf(region, view);
    const flags =
      (view.isVisible(region) ? 0 : HIDDEN) |
      (view.state.selection.includes(region.uuid) ? SELECTED : 0) |
      (region.uuid === this.highlighted ? HIGHLIGHTED : 0) |
      (view.isLocked(region) ? LOCKED : 0);
    const entry = [red, green, blue, flags];
    const at = region.slot * 4;
    const same = entry.every((value, channel) => this.palette[at + channel] === value);
    if (!same) this.palette.set(entry, at);
    return !same;
  }
}
