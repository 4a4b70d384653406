import { api } from "../api/client";
import type { Rect } from "../core/types";

/** Longer side of a preview, pixels. */
const PREVIEW_SIDE = 1024;

/** The decoded image, for drawing and for tools that look at its colours. */
export class Picture {
  private constructor(
    readonly bitmap: ImageBitmap,
    /** The whole of a large picture in few pixels; null for a small one. */
    readonly preview: ImageBitmap | null,
  ) {}

  /** The server sends it upright, so nothing is turned here. */
  static async fetch(image: number): Promise<Picture> {
    const blob = await api.picture(image);
    const bitmap = await createImageBitmap(blob, { imageOrientation: "none" });
    const scale = PREVIEW_SIDE / Math.max(bitmap.width, bitmap.height);
    if (scale > 0.5) return new Picture(bitmap, null);
    const preview = await createImageBitmap(bitmap, {
      resizeWidth: Math.max(1, Math.round(bitmap.width * scale)),
      resizeHeight: Math.max(1, Math.round(bitmap.height * scale)),
      resizeQuality: "low",
    });
    return new Picture(bitmap, preview);
  }

  /** Brings the file into the browser's cache. */
  static async warm(image: number): Promise<void> {
    await api.picture(image).catch(() => undefined);
  }

  /** RGBA of a window, row-major; outside the image it is transparent. */
  pixels(window: Rect): Uint8ClampedArray | null {
    if (window.width <= 0 || window.height <= 0) return null;
    const canvas = new OffscreenCanvas(window.width, window.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!context) return null;
    context.drawImage(this.bitmap, -window.x, -window.y);
    return context.getImageData(0, 0, window.width, window.height).data;
  }
}
