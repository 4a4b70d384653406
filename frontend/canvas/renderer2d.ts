import type { LabelMap } from "../core/labelmap";
import { unionRect } from "../core/rect";
import type { Rect, Size } from "../core/types";
import { labelLevel } from "./label_window";
import {
  DEFAULT_DISPLAY,
  type Display,
  HIDDEN,
  HIGHLIGHTED,
  NEAREST_FROM,
  type Palette,
  type Renderer,
  SELECTED,
} from "./renderer";
import type { Pyramid } from "./tiles";
import type { Camera } from "./viewport";

/**
 * Draws without WebGL2: the label map is looked up once per CSS pixel of the screen, and after a
 * stroke only where it changed. Gamma is the one setting that it does not show.
 */
export class CanvasRenderer implements Renderer {
  readonly kind = "2d";
  private readonly context: CanvasRenderingContext2D;
  private readonly layer = document.createElement("canvas");
  private readonly layerContext: CanvasRenderingContext2D;
  private image: ImageBitmap | null = null;
  private pyramid: Pyramid | null = null;
  private size: Size = { width: 0, height: 0 };
  private ratio = 1;
  private display: Display = DEFAULT_DISPLAY;
  private preview: ImageBitmap | null = null;
  private labels: LabelMap | null = null;
  private palette: Palette | null = null;
  private camera: Camera | null = null;
  private dirty: Rect | null = null;
  private whole = true;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.context = context2d(canvas);
    this.layerContext = context2d(this.layer);
  }

  setImage(
    image: ImageBitmap | null,
    preview: ImageBitmap | null,
    size: Size,
    pyramid: Pyramid | null,
  ): void {
    this.pyramid = pyramid;
    if (size.width !== this.size.width || size.height !== this.size.height) this.labels = null;
    this.image = image;
    this.preview = preview;
    this.size = size;
  }

  setLabels(labels: LabelMap): void {
    this.labels = labels;
    this.whole = true;
  }

  labelsChanged(rect: Rect): void {
    this.dirty = unionRect(this.dirty, rect);
  }

  setPalette(palette: Palette): void {
    this.palette = palette;
    this.whole = true;
  }

  setDisplay(display: Display): void {
    this.display = display;
    this.whole = true;
  }

  resize(screen: Size, ratio: number): void {
    this.ratio = ratio;
    this.canvas.width = Math.max(1, Math.round(screen.width * ratio));
    this.canvas.height = Math.max(1, Math.round(screen.height * ratio));
    this.layer.width = Math.max(1, Math.ceil(screen.width));
    this.layer.height = Math.max(1, Math.ceil(screen.height));
    this.whole = true;
  }

  draw(camera: Camera): boolean {
    const { context, display, ratio } = this;
    const moved =
      !this.camera ||
      camera.scale !== this.camera.scale ||
      camera.x !== this.camera.x ||
      camera.y !== this.camera.y;
    this.camera = camera;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const image = this.sharp(camera.scale * ratio);
    if (display.showImage && image) {
      const { brightness, contrast } = display;
      context.imageSmoothingEnabled = camera.scale < NEAREST_FROM;
      context.filter =
        brightness || contrast !== 1
          ? `contrast(${contrast}) brightness(${1 + brightness})`
          : "none";
      context.drawImage(
        image,
        camera.x,
        camera.y,
        this.size.width * camera.scale,
        this.size.height * camera.scale,
      );
      this.drawTiles(camera);
      context.filter = "none";
    }
    if (display.showRegions && this.labels && this.palette) {
      const all = { x: 0, y: 0, width: this.layer.width, height: this.layer.height };
      if (moved || this.whole) this.paint(all, camera);
      else if (this.dirty) this.paint(this.onScreen(this.dirty, camera), camera);
      context.drawImage(this.layer, 0, 0);
    }
    this.whole = false;
    this.dirty = null;
    return false;
  }

  destroy(): void {
    this.image = null;
    this.preview = null;
    this.labels = null;
    this.pyramid = null;
  }

  /** The smaller of the two pictures that has a pixel for each device pixel. */
  private sharp(scale: number): ImageBitmap | null {
    const { image, preview, size } = this;
    return preview && (!image || scale <= preview.width / size.width) ? preview : image;
  }

  private drawTiles(camera: Camera): void {
    const { pyramid, context, layer, ratio } = this;
    if (!pyramid) return;
    for (const { rect, bitmap } of pyramid.visible(camera, layer, ratio)) {
      const x = rect.x * camera.scale + camera.x;
      const y = rect.y * camera.scale + camera.y;
      context.drawImage(bitmap, x, y, rect.width * camera.scale, rect.height * camera.scale);
    }
  }

  /** Screen pixels that image pixels of `rect` touch, with room for the outline. */
  private onScreen(rect: Rect, camera: Camera): Rect {
    const x = Math.max(0, Math.floor(rect.x * camera.scale + camera.x) - 4);
    const y = Math.max(0, Math.floor(rect.y * camera.scale + camera.y) - 4);
    const right = Math.ceil((rect.x + rect.width) * camera.scale + camera.x) + 4;
    const bottom = Math.ceil((rect.y + rect.height) * camera.scale + camera.y) + 4;
    return {
      x,
      y,
      width: Math.min(this.layer.width, right) - x,
      height: Math.min(this.layer.height, bottom) - y,
    };
  }

  /** The labels of a part of the screen and around it, as in WebGL; null outside of the image. */
  private sample(rect: Rect, camera: Camera, level: number) {
    const { labels, size } = this;
    const range = (from: number, length: number, offset: number, extent: number) => {
      const start = Math.floor(Math.max(0, (from - 4 - offset) / camera.scale)) >> level;
      const end = Math.min(extent - 1, Math.floor((from + length + 4 - offset) / camera.scale));
      return [start, (end >> level) + 1 - start] as const;
    };
    const [x, width] = range(rect.x, rect.width, camera.x, size.width);
    const [y, height] = range(rect.y, rect.height, camera.y, size.height);
    if (!labels || width <= 0 || height <= 0) return null;
    const slots = new Uint16Array(width * height);
    labels.sample(level, { x, y, width, height }, slots);
    return { x, y, height, slots };
  }

  /** The same rules as the label shader. */
  private paint(rect: Rect, camera: Camera): void {
    const { labels, palette, size, display } = this;
    if (!labels || !palette || rect.width <= 0 || rect.height <= 0) return;
    const pixels = this.layerContext.createImageData(rect.width, rect.height);
    const out = pixels.data;
    const level = labelLevel(camera.scale * this.ratio);
    const texels = this.sample(rect, camera, level);
    const slotAt = (x: number, y: number): number => {
      const outside = x < 0 || y < 0 || x >= size.width || y >= size.height;
      if (outside || !texels) return 0;
      const column = (Math.floor(x) >> level) - texels.x;
      return texels.slots[column * texels.height + (Math.floor(y) >> level) - texels.y] ?? 0;
    };
    for (let row = 0; row < rect.height; row += 1) {
      const y = (rect.y + row + 0.5 - camera.y) / camera.scale;
      for (let column = 0; column < rect.width; column += 1) {
        const x = (rect.x + column + 0.5 - camera.x) / camera.scale;
        const slot = slotAt(x, y);
        if (slot === 0) continue;
        const flags = palette[slot * 4 + 3] ?? 0;
        if (flags & HIDDEN) continue;
        const differs = (width: number): boolean => {
          const d = width / camera.scale;
          return (
            slotAt(x + d, y) !== slot ||
            slotAt(x - d, y) !== slot ||
            slotAt(x, y + d) !== slot ||
            slotAt(x, y - d) !== slot
          );
        };
        let alpha = display.outlineOnly ? 0 : display.opacity;
        let white = 0;
        if (flags & HIGHLIGHTED) alpha += 0.12;
        if (flags & SELECTED) {
          alpha = Math.min(alpha + 0.15, 0.9);
          white = 0.12;
          if (differs(1)) {
            alpha = 0.95;
            white = -1;
          } else if (differs(3)) {
            alpha = 1;
            white = 1;
          }
        } else if (differs(flags & HIGHLIGHTED ? 2 : 1)) alpha = 0.95;
        const at = (row * rect.width + column) * 4;
        for (let channel = 0; channel < 3; channel += 1) {
          const color = palette[slot * 4 + channel] ?? 0;
          out[at + channel] = white < 0 ? 16 : color + (255 - color) * white;
        }
        out[at + 3] = alpha * 255;
      }
    }
    this.layerContext.putImageData(pixels, rect.x, rect.y);
  }
}

function context2d(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("This browser gives no canvas.");
  return context;
}
