import type { LabelMap } from "../core/labelmap";
import type { Rect, Size } from "../core/types";
import { alike, drawMarks, type Mark } from "./marks";
import { DEFAULT_DISPLAY, type Display, type Palette, type Renderer } from "./renderer";
import { GlRenderer } from "./renderer_gl";
import { CanvasRenderer } from "./renderer2d";
import type { Pyramid } from "./tiles";
import { type Camera, Viewport } from "./viewport";

/** A 2D canvas over the picture that is drawn again only when its marks changed; hidden without any. */
class Layer {
  readonly canvas = document.createElement("canvas");
  private readonly context: CanvasRenderingContext2D;
  /** It has to be drawn, whatever its marks are. */
  stale = true;
  /** Its marks may have changed. */
  asked = false;
  private drawn: readonly Mark[] = [];

  constructor(private readonly marks: () => readonly Mark[]) {
    const context = this.canvas.getContext("2d");
    if (!context) throw new Error("This browser gives no canvas.");
    this.context = context;
  }

  draw(viewport: Viewport, ratio: number): void {
    if (!(this.stale || this.asked)) return;
    const marks = this.marks();
    const same = !this.stale && alike(marks, this.drawn);
    this.stale = false;
    this.asked = false;
    if (same) return;
    this.drawn = marks;
    // An empty layer costs the browser as much as a full one, and Chromium 156 goes on showing the
    // last frame of a canvas that was cleared and got nothing new.
    this.canvas.hidden = marks.length === 0;
    if (marks.length === 0) return;
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    drawMarks(this.context, marks, viewport, ratio);
  }
}

export interface StageHandlers {
  /** Marks that change seldom: proposals, comments. */
  still(): readonly Mark[];
  /** Marks that follow the pointer. */
  live(): readonly Mark[];
  moved(): void;
}

/**
 * Three canvases over each other, the picture with its regions below, then marks that stay, then
 * what the tool draws, and the one animation loop. Nothing is drawn while nothing changes.
 */
export class Stage {
  readonly viewport: Viewport;
  readonly element: HTMLDivElement;
  /** Made when the size is known: a WebGL canvas that gets another one waits for the graphics. */
  private renderer: Renderer | null = null;
  private base: HTMLCanvasElement;
  private readonly still: Layer;
  private readonly live: Layer;
  private readonly observer: ResizeObserver;
  private ratio = 1;
  private frame = 0;
  private baseStale = true;
  private image: ImageBitmap | null = null;
  private preview: ImageBitmap | null = null;
  private pyramid: Pyramid | null = null;
  private size: Size = { width: 1, height: 1 };
  private labels: LabelMap | null = null;
  private palette: Palette | null = null;
  private display: Display = DEFAULT_DISPLAY;

  constructor(
    handlers: StageHandlers,
    private readonly preferred: Renderer["kind"] = "webgl2",
  ) {
    this.element = document.createElement("div");
    this.element.className = "stage";
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "application");
    this.element.setAttribute("aria-label", "Picture with its regions");
    this.base = document.createElement("canvas");
    this.still = new Layer(() => handlers.still());
    this.live = new Layer(() => handlers.live());
    this.element.append(this.base, this.still.canvas, this.live.canvas);
    this.viewport = new Viewport(() => {
      this.invalidate();
      handlers.moved();
    });
    this.observer = new ResizeObserver(() => this.resize());
  }

  /** Puts the stage into the page, below what is there. */
  mount(container: HTMLElement): void {
    container.prepend(this.element);
    this.resize();
    this.observer.observe(this.element);
  }

  setImage(
    image: ImageBitmap | null,
    preview: ImageBitmap | null,
    size: Size,
    pyramid: Pyramid | null = null,
  ): void {
    if (pyramid !== this.pyramid) this.pyramid?.close();
    this.pyramid = pyramid;
    if (pyramid) pyramid.onLoad = () => this.invalidateBase();
    this.image = image;
    this.preview = preview;
    const other = size.width !== this.size.width || size.height !== this.size.height;
    this.size = size;
    if (other) this.labels = null;
    this.renderer?.setImage(image, preview, size, pyramid);
    this.invalidate();
  }

  setLabels(labels: LabelMap): void {
    this.labels = labels;
    this.renderer?.setLabels(labels);
    this.invalidate();
  }

  labelsChanged(rect: Rect): void {
    this.renderer?.labelsChanged(rect);
    this.invalidateBase();
  }

  setPalette(palette: Palette): void {
    this.palette = palette;
    this.renderer?.setPalette(palette);
    this.invalidateBase();
  }

  setDisplay(display: Display): void {
    this.display = display;
    this.renderer?.setDisplay(display);
    this.invalidate();
  }

  /** Something below changed; drawn in the next frame. */
  invalidateBase(): void {
    this.baseStale = true;
    this.schedule();
  }

  invalidateStill(): void {
    this.still.asked = true;
    this.schedule();
  }

  invalidateLive(): void {
    this.live.asked = true;
    this.schedule();
  }

  invalidate(): void {
    this.baseStale = true;
    this.still.stale = true;
    this.live.stale = true;
    this.schedule();
  }

  destroy(): void {
    cancelAnimationFrame(this.frame);
    this.observer.disconnect();
    this.renderer?.destroy();
    this.element.remove();
  }

  private makeRenderer(kind: Renderer["kind"]): Renderer {
    const renderer = this.rendererOf(kind);
    renderer.setDisplay(this.display);
    renderer.setImage(this.image, this.preview, this.size, this.pyramid);
    if (this.palette) renderer.setPalette(this.palette);
    if (this.labels) renderer.setLabels(this.labels);
    return renderer;
  }

  /** An empty one, on a canvas of the stage's size. */
  private rendererOf(kind: Renderer["kind"]): Renderer {
    this.base.width = this.still.canvas.width;
    this.base.height = this.still.canvas.height;
    let renderer: Renderer;
    try {
      renderer = kind === "2d" ? new CanvasRenderer(this.base) : new GlRenderer(this.base);
    } catch {
      this.replaceCanvas();
      renderer = new CanvasRenderer(this.base);
    }
    if (renderer.kind === "webgl2") {
      const canvas = this.base;
      canvas.addEventListener("webglcontextlost", (event) => {
        event.preventDefault();
        if (canvas === this.base && canvas.isConnected) this.replaceRenderer("webgl2");
      });
    }
    renderer.resize(this.viewport.screen, this.ratio);
    return renderer;
  }

  /** A canvas keeps its first kind of context for ever, so another renderer needs another one. */
  private replaceCanvas(): void {
    const canvas = document.createElement("canvas");
    canvas.width = this.base.width;
    canvas.height = this.base.height;
    this.base.replaceWith(canvas);
    this.base = canvas;
  }

  private replaceRenderer(kind: Renderer["kind"]): Renderer {
    this.replaceCanvas();
    this.renderer = this.makeRenderer(kind);
    this.invalidate();
    return this.renderer;
  }

  private resize(): void {
    const width = Math.max(1, this.element.clientWidth);
    const height = Math.max(1, this.element.clientHeight);
    const ratio = window.devicePixelRatio || 1;
    const { viewport, renderer } = this;
    const { screen } = viewport;
    if (renderer && screen.width === width && screen.height === height && ratio === this.ratio)
      return;
    this.ratio = ratio;
    for (const { canvas } of [this.still, this.live]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    viewport.resize({ width, height });
    renderer?.resize({ width, height }, ratio);
    this.renderer ??= this.makeRenderer(this.preferred);
    this.invalidate();
    // At once: a canvas that got another size is empty until it is drawn.
    if (renderer) this.draw();
  }

  /** True when more is to be uploaded. Where the shaders do not compile, a 2D canvas takes over. */
  private drawBase(renderer: Renderer, camera: Camera): boolean {
    try {
      return renderer.draw(camera);
    } catch (error) {
      if (renderer.kind === "2d") throw error;
      return this.replaceRenderer("2d").draw(camera);
    }
  }

  private schedule(): void {
    if (this.renderer) this.frame ||= requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const { renderer } = this;
    const { camera } = this.viewport;
    if (renderer && this.baseStale) {
      this.baseStale = false;
      if (this.drawBase(renderer, camera)) this.invalidateBase();
    }
    this.still.draw(this.viewport, this.ratio);
    this.live.draw(this.viewport, this.ratio);
  }
}
