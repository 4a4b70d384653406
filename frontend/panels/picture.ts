import { api } from "../api/client";
import type { Rect } from "../core/types";

/** The decoded image, for drawing and for tools that look at its colours. */
export class Picture {
  private constructor(readonly bitmap: ImageBitmap) {}

  /** The server sends it upright, so nothing is turned here. */
  static async fetch(image: number): Promise<Picture> {
    const blob = await api.image(`/api/images/${image}/file`);
    return new Picture(await createImageBitmap(blob, { imageOrientation: "none" }));
  }

  /** Brings the file into the browser's cache. */
  static async warm(image: number): Promise<void> {
    await api.image(`/api/images/${image}/file`).catch(() => undefined);
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
