import type { LabelMap } from "../core/labelmap";
import type { Rect, Size } from "../core/types";
import type { Pyramid } from "./tiles";
import type { Camera } from "./viewport";

/** Flags in the alpha byte of a palette entry. */
export const HIDDEN = 1;
export const SELECTED = 2;
export const HIGHLIGHTED = 4;
export const LOCKED = 8;

/** RGBA8 by slot: red, green, blue and flags. Slot 0 is nothing. */
export const PALETTE_SIDE = 256;
export type Palette = Uint8Array<ArrayBuffer>;

export interface Display {
  /** Of the fill, 0…1. */
  readonly opacity: number;
  readonly outlineOnly: boolean;
  /** Added after contrast, −1…1. */
  readonly brightness: number;
  /** Factor around middle grey, 0…4. */
  readonly contrast: number;
  /** Exponent is 1 / gamma. */
  readonly gamma: number;
  readonly showImage: boolean;
  readonly showRegions: boolean;
}

export const DEFAULT_DISPLAY: Display = {
  opacity: 0.4,
  outlineOnly: false,
  brightness: 0,
  contrast: 1,
  gamma: 1,
  showImage: true,
  showRegions: true,
};

/** Scale from which pixels of the image are shown as squares. */
export const NEAREST_FROM = 4;
/** Scale from which a line is drawn between pixels. */
export const GRID_FROM = 12;

/**
 * Draws the image and its label map. Uploads are queued by the setters and done by `draw`, so that
 * a setter costs the caller nothing.
 */
export interface Renderer {
  readonly kind: "webgl2" | "2d";
  /**
   * Null for both takes the image away. `preview` is the whole picture in fewer pixels, shown while
   * it is sharp enough and until the image is there. With a `pyramid`, `image` is the whole in few
   * pixels, and the pyramid's tiles are drawn over it. Another size takes the label map away.
   */
  setImage(
    image: ImageBitmap | null,
    preview: ImageBitmap | null,
    size: Size,
    pyramid: Pyramid | null,
  ): void;
  /** As large as the image. It is kept, and read again at `labelsChanged`. */
  setLabels(labels: LabelMap): void;
  labelsChanged(rect: Rect): void;
  setPalette(palette: Palette): void;
  setDisplay(display: Display): void;
  /** CSS pixels; `ratio` is device pixels per CSS pixel. */
  resize(screen: Size, ratio: number): void;
  /** True when more is to be uploaded: draw again in the next frame. */
  draw(camera: Camera): boolean;
  destroy(): void;
}
