import type { Point, Rect, Size } from "../core/types";

/** Screen position of an image: screen = image × scale + (x, y), in CSS pixels of the canvas. */
export interface Camera {
  readonly scale: number;
  readonly x: number;
  readonly y: number;
}

const MAX_SCALE = 64;
/** Part of the picture that always stays on the screen, CSS pixels. */
const KEEP = 48;

/** Where the image is on the screen. Changes are told to `onChange`. */
export class Viewport {
  camera: Camera = { scale: 1, x: 0, y: 0 };
  screen: Size = { width: 1, height: 1 };
  image: Size = { width: 1, height: 1 };
  /** True until the person moves the picture; a resize then fits it again. */
  private fitted = true;

  constructor(private readonly onChange: () => void) {}

  get fitScale(): number {
    const { screen, image } = this;
    return Math.min((screen.width - 32) / image.width, (screen.height - 32) / image.height);
  }

  get minScale(): number {
    return Math.min(1, this.fitScale / 4);
  }

  toImage(screen: Point): Point {
    const { scale, x, y } = this.camera;
    return { x: (screen.x - x) / scale, y: (screen.y - y) / scale };
  }

  toScreen(point: Point): Point {
    const { scale, x, y } = this.camera;
    return { x: point.x * scale + x, y: point.y * scale + y };
  }

  /** The part of the image on the screen, float image pixels, clipped to the image. */
  visible(): Rect {
    const start = this.toImage({ x: 0, y: 0 });
    const end = this.toImage({ x: this.screen.width, y: this.screen.height });
    const x = Math.max(0, start.x);
    const y = Math.max(0, start.y);
    return {
      x,
      y,
      width: Math.max(0, Math.min(this.image.width, end.x) - x),
      height: Math.max(0, Math.min(this.image.height, end.y) - y),
    };
  }

  setImage(image: Size): void {
    this.image = image;
    this.fit();
  }

  resize(screen: Size): void {
    const middle = this.toImage({ x: this.screen.width / 2, y: this.screen.height / 2 });
    this.screen = screen;
    if (this.fitted) this.fit();
    else this.centre(middle, this.camera.scale);
  }

  fit(): void {
    const scale = Math.max(this.fitScale, 1e-4);
    this.centre({ x: this.image.width / 2, y: this.image.height / 2 }, scale);
    this.fitted = true;
  }

  pan(dx: number, dy: number): void {
    this.set({ ...this.camera, x: this.camera.x + dx, y: this.camera.y + dy });
  }

  /** Zooms so that the image point under `anchor` (screen) stays where it is. */
  zoomAt(anchor: Point, factor: number): void {
    const scale = this.clampScale(this.camera.scale * factor);
    const point = this.toImage(anchor);
    this.set({ scale, x: anchor.x - point.x * scale, y: anchor.y - point.y * scale });
  }

  zoomBy(factor: number): void {
    this.zoomAt({ x: this.screen.width / 2, y: this.screen.height / 2 }, factor);
  }

  /** Puts an image point in the middle of the screen. */
  centre(point: Point, scale = this.camera.scale): void {
    const { width, height } = this.screen;
    const clamped = this.clampScale(scale);
    this.set({
      scale: clamped,
      x: width / 2 - point.x * clamped,
      y: height / 2 - point.y * clamped,
    });
  }

  /** Shows a part of the image with some room around it, never zooming out past the fit. */
  show(rect: Rect): void {
    const { width, height } = this.screen;
    const scale = Math.min(
      width / (rect.width * 2 + 16),
      height / (rect.height * 2 + 16),
      Math.max(8, this.fitScale),
    );
    const middle = { x: rect.x + rect.width / 2, y: rect.y + rect.height / 2 };
    this.centre(middle, Math.max(scale, Math.min(this.fitScale, this.camera.scale)));
  }

  private clampScale(scale: number): number {
    return Math.min(Math.max(scale, this.minScale), Math.max(MAX_SCALE, this.fitScale));
  }

  private set(camera: Camera): void {
    const { screen, image } = this;
    const clamp = (value: number, extent: number, length: number) =>
      Math.min(Math.max(value, KEEP - length), extent - KEEP);
    this.camera = {
      scale: camera.scale,
      x: clamp(camera.x, screen.width, image.width * camera.scale),
      y: clamp(camera.y, screen.height, image.height * camera.scale),
    };
    this.fitted = false;
    this.onChange();
  }
}
