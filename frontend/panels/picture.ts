import { api } from "../api/client";
import { decoder, earlyPicture } from "../api/early";
import type { Workspace } from "../api/workspace";
import { Pyramid } from "../canvas/tiles";
import type { Rect, Size } from "../core/types";
import { smaller } from "../workers/picture";

type Info = Workspace["image"];

/** The decoded image, for drawing and for tools that look at its colours. */
export class Picture {
  private constructor(
    readonly size: Size,
    /** The image; of one with a pyramid the whole of it in few pixels. */
    readonly bitmap: ImageBitmap,
    /** The whole of a large picture in few pixels; null for a small one. */
    readonly preview: ImageBitmap | null,
    readonly pyramid: Pyramid | null = null,
  ) {}

  /**
   * The picture of an image. It is asked for at once; when `told` says that there is a pyramid, the
   * file is left alone.
   */
  static open(image: number, told: Promise<Info>): Promise<Picture> {
    decoder.start();
    const stop = new AbortController();
    const never = new Promise<never>(() => undefined);
    const tiled = told.then(
      (info) => {
        if (info.levels === 0) return never;
        stop.abort();
        return Picture.tiled(info);
      },
      () => never,
    );
    const whole = Picture.fetch(image, stop.signal).catch((error: unknown) => {
      if (stop.signal.aborted) return never;
      throw error;
    });
    return Promise.race([whole, tiled]);
  }

  private static async fetch(image: number, signal: AbortSignal): Promise<Picture> {
    const { bitmap, preview } =
      (await earlyPicture(image)) ?? (await decoder.decode(await api.picture(image, signal)));
    return new Picture({ width: bitmap.width, height: bitmap.height }, bitmap, preview);
  }

  static async of(bitmap: ImageBitmap): Promise<Picture> {
    const size = { width: bitmap.width, height: bitmap.height };
    return new Picture(size, bitmap, await smaller(bitmap));
  }

  /** The whole picture in very few pixels, to be shown until it is there. */
  static async glimpse(image: number): Promise<ImageBitmap> {
    return createImageBitmap(await api.thumbnail(image));
  }

  private static async tiled({ id, width, height, levels }: Info): Promise<Picture> {
    const pyramid = new Pyramid({ width, height }, levels, async ({ level, x, y }) =>
      createImageBitmap(await api.tile(id, level, x, y)),
    );
    const whole = await createImageBitmap(await api.tile(id, 0, 0, 0));
    return new Picture(pyramid.size, whole, null, pyramid);
  }

  /** Brings the file into the browser's cache. */
  static async warm({ id, levels }: Info): Promise<void> {
    const bytes = levels > 0 ? api.tile(id, 0, 0, 0) : api.picture(id);
    await bytes.catch(() => undefined);
  }

  /** Draws the whole picture in image pixels; one with a pyramid in what is there. */
  draw(context: CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D): void {
    context.drawImage(this.bitmap, 0, 0, this.size.width, this.size.height);
  }

  /**
   * RGBA of a window, row-major; outside the image it is transparent. Null where tiles are missing;
   * they are loaded then.
   */
  pixels(window: Rect): Uint8ClampedArray | null {
    if (window.width <= 0 || window.height <= 0) return null;
    const canvas = new OffscreenCanvas(window.width, window.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!context) return null;
    context.translate(-window.x, -window.y);
    if (!this.pyramid) context.drawImage(this.bitmap, 0, 0);
    else if (!drawTiles(context, this.pyramid, window)) return null;
    return context.getImageData(0, 0, window.width, window.height).data;
  }
}

/** Draws the sharpest tiles of a window; false when one is missing. */
function drawTiles(
  context: OffscreenCanvasRenderingContext2D,
  pyramid: Pyramid,
  window: Rect,
): boolean {
  let complete = true;
  for (const tile of pyramid.cover(window, pyramid.levels - 1)) {
    const bitmap = pyramid.get(tile);
    const { x, y } = pyramid.rect(tile);
    if (bitmap) context.drawImage(bitmap, x, y);
    else complete = false;
  }
  return complete;
}
