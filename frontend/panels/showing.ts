import { signal } from "@preact/signals";
import type { Workspace } from "../api/workspace";
import type { Stage } from "../canvas/stage";
import type { Rect, Size } from "../core/types";
import { DeepValues, type Window } from "./deep";
import { Picture } from "./picture";
import { toastError } from "./toasts";

type Info = Workspace["image"];

/** Milliseconds: a picture that is there before is not worth a glimpse, which would only flash. */
const GLIMPSE_AFTER = 150;

/** The picture of the open image: a glimpse of it first, then all, then other values of it. */
export class Showing {
  /** True until the first pixels are there. */
  readonly missing = signal(true);
  /** Which values of a picture of more than 8 bits are shown. */
  readonly window = signal<Window | null>(null);
  /** Null until all of it is there. */
  picture: Picture | null = null;
  /** The whole picture in very few pixels. */
  private glimpse: ImageBitmap | null = null;
  private info: Info | null = null;
  /** What the window looks at, once a person has moved it. */
  private deep: DeepValues | null = null;
  /** The window to be drawn next. */
  private wish: Window | null = null;
  /** One more with each image: what comes for another one is dropped. */
  private turn = 0;

  constructor(private readonly stage: Stage) {}

  clear(): void {
    this.turn += 1;
    this.picture = null;
    this.glimpse = null;
    this.info = null;
    this.deep = null;
    this.wish = null;
    this.window.value = null;
    this.missing.value = true;
    this.stage.setImage(null, null, { width: 1, height: 1 });
  }

  /** Shows an image as it comes; ends when all of it is there. `size` is that of the image. */
  async open(image: number, size: Size | Promise<Size>, told: Promise<Info>): Promise<void> {
    const { turn } = this;
    const patience = new Promise((resolve) => setTimeout(resolve, GLIMPSE_AFTER));
    void Promise.all([Picture.glimpse(image), size, patience]).then(
      ([bitmap, whole]) => {
        if (turn === this.turn) this.showGlimpse(bitmap, whole);
      },
      () => undefined,
    );
    const picture = await Picture.open(image, told);
    if (turn === this.turn) this.show(picture);
  }

  /** What the server says of the image; its size is that of the stage from now on. */
  expect(info: Info): void {
    const { width, height } = info;
    this.info = info;
    this.window.value = info.window;
    this.setSize({ width, height });
    if (!this.picture && !this.glimpse) this.stage.setImage(null, null, { width, height });
  }

  /** Shows other values of a picture of more than 8 bits; the newest wish wins. */
  setWindow(window: Window): void {
    if (!this.info?.window) return;
    const drawing = this.wish !== null;
    this.window.value = window;
    this.wish = window;
    if (!drawing) void this.drawWindow().catch((error) => toastError(error));
  }

  /** See `Picture.pixels`. */
  pixels(window: Rect): Uint8ClampedArray | null {
    return this.picture?.pixels(window) ?? null;
  }

  drawThumbnail(context: CanvasRenderingContext2D, width: number, height: number): void {
    const bitmap = this.glimpse ?? this.picture?.preview ?? this.picture?.bitmap;
    if (bitmap) context.drawImage(bitmap, 0, 0, width, height);
  }

  private showGlimpse(bitmap: ImageBitmap, size: Size): void {
    this.glimpse = bitmap;
    if (this.picture) return;
    this.missing.value = false;
    this.setSize(size);
    this.stage.setImage(null, bitmap, size);
  }

  private show(picture: Picture): void {
    this.picture = picture;
    this.missing.value = false;
    this.setSize(picture.size);
    this.stage.setImage(picture.bitmap, picture.preview, picture.size, picture.pyramid);
  }

  private async drawWindow(): Promise<void> {
    const { turn, info } = this;
    if (!info?.window) return;
    try {
      this.deep ??= await DeepValues.fetch(info.id, info, info.window);
      while (this.wish && turn === this.turn) {
        const window = this.wish;
        const picture = await Picture.of(await this.deep.view(window));
        if (turn !== this.turn) return;
        this.show(picture);
        if (this.wish === window) this.wish = null;
      }
    } finally {
      if (turn === this.turn) this.wish = null;
    }
  }

  private setSize({ width, height }: Size): void {
    const { viewport } = this.stage;
    if (viewport.image.width === width && viewport.image.height === height) return;
    viewport.setImage({ width, height });
  }
}
