import { effect, signal } from "@preact/signals";
import { api } from "../api/client";
import type { components } from "../api/schema";
import { geometryOf } from "../api/workspace";
import {
  ADDED,
  categoryNumber,
  type Difference,
  difference,
  heat,
  OTHER,
  paint,
  REMOVED,
  type Shape,
} from "../core/difference";
import { MAX_SLOT } from "../core/store";
import type { Rect, Size } from "../core/types";
import { reveal } from "./actions";
import { type Rgb, rgbOf } from "./colors";
import type { Editor } from "./editor";
import { toast, toastError } from "./toasts";

/** `other` shows the other side alone. */
export type Way = "off" | "overlay" | "blink" | "heat" | "other";
export const WAYS: readonly Way[] = ["off", "overlay", "blink", "heat", "other"];

type Base = components["schemas"]["Base"];

/** Okabe and Ito's blue, vermilion and yellow: told apart by colour-blind eyes. */
export const COLORS: Record<number, Rgb> = {
  [ADDED]: [0, 114, 178],
  [REMOVED]: [213, 94, 0],
  [OTHER]: [240, 228, 66],
};
const BLINK = 700;
/** Side of the squares in which differences are looked at one by one, pixels. */
const PLACE = 96;
const HEAT_RADIUS = 6;

/** The open annotation against something else, drawn on a canvas of its own over the picture. */
export class Comparison {
  readonly bases = signal<readonly Base[]>([]);
  readonly base = signal("");
  readonly way = signal<Way>("off");
  readonly found = signal<Difference | null>(null);
  /** Blinking: whether the other side is shown now. */
  readonly showsBase = signal(false);
  private readonly canvas = document.createElement("canvas");
  private painted: Uint16Array | null = null;
  /** A choice that the server does not list: an older state that somebody looks at. */
  private given: { readonly base: Base; readonly shapes: readonly Shape[] } | null = null;
  private asked = false;
  private readonly colors = new Map<number, Rgb>();
  private place = -1;

  constructor(private readonly editor: Editor) {
    this.canvas.className = "compare-layer";
    editor.stage.element.append(this.canvas);
    effect(() => {
      const annotation = editor.workspace.value?.annotation;
      this.reset();
      if (annotation && editor.boot.mode === "review") void this.load(annotation.id);
    });
    effect(() => {
      editor.changes.value;
      if (this.way.value !== "off") this.compare();
    });
    effect(() => {
      // Whoever draws wants to see it.
      if (editor.changes.value && this.way.peek() === "other") this.way.value = "overlay";
    });
    effect(() => {
      const { scale, x, y } = editor.camera.value;
      const step = this.found.value?.step ?? 1;
      this.canvas.style.transform = `translate(${x}px, ${y}px) scale(${scale * step})`;
    });
    effect(() => this.blink());
    effect(() => {
      const way = this.way.value;
      const hide = way === "heat" || way === "other" || (way === "blink" && this.showsBase.value);
      const display = editor.display.value;
      editor.stage.setDisplay(hide ? { ...display, showRegions: false } : display);
      this.canvas.hidden = way === "off" || (way === "blink" && !this.showsBase.value);
    });
  }

  /** The next way to look at it; the first time it asks what there is. */
  async cycle(): Promise<void> {
    const way = WAYS[(WAYS.indexOf(this.way.value) + 1) % WAYS.length] ?? "off";
    await this.show(way);
  }

  async show(way: Way): Promise<void> {
    const { annotation } = this.editor.workspace.value ?? {};
    if (annotation && !this.asked) await this.load(annotation.id);
    if (this.bases.value.length === 0) {
      toast(
        "There is nothing to compare this with: no proposals, no earlier verdict, nobody else’s work.",
      );
      return;
    }
    if (!this.painted) await this.choose(this.base.value || (this.bases.value[0]?.key ?? ""));
    this.way.value = way;
  }

  /** Compares with regions that are here already, at first by showing them alone. */
  against(base: Base, shapes: readonly Shape[]): void {
    const others = this.bases.value.filter(({ key }) => key !== this.given?.base.key);
    this.given = { base, shapes };
    this.bases.value = [base, ...others];
    this.use(base.key, shapes);
    if (this.way.value === "off") this.way.value = "other";
  }

  /** Takes what `against` gave away again. */
  forget(): void {
    this.way.value = "off";
    this.bases.value = this.bases.value.filter(({ key }) => key !== this.given?.base.key);
    this.given = null;
    this.painted = null;
    this.base.value = "";
  }

  async nextBase(): Promise<void> {
    const bases = this.bases.value;
    const index = bases.findIndex(({ key }) => key === this.base.value);
    const next = bases[(index + 1) % bases.length];
    if (next) await this.choose(next.key);
  }

  async choose(key: string): Promise<void> {
    const { annotation } = this.editor.workspace.value ?? {};
    if (key === this.given?.base.key) return this.use(key, this.given.shapes);
    if (!annotation) return;
    try {
      const { regions } = await api.baseRegions(annotation.id, key);
      if (this.editor.workspace.value?.annotation?.id !== annotation.id) return;
      const shapes = regions.map((one) => ({
        category: one.category ?? 0,
        geometry: geometryOf(one),
      }));
      this.use(key, shapes);
    } catch (error) {
      toastError(error, "Comparing");
    }
  }

  private use(key: string, shapes: readonly Shape[]): void {
    const image = this.editor.workspace.value?.image;
    if (!image) return;
    this.painted = paint({ width: image.width, height: image.height }, shapes);
    this.base.value = key;
    this.place = -1;
    this.compare();
  }

  /** Shows the next place that differs, from the top to the bottom. */
  nextPlace(): void {
    const found = this.found.value;
    if (!found) return;
    const side = Math.max(1, Math.round(PLACE / found.step));
    const columns = Math.ceil(found.width / side);
    const count = columns * Math.ceil(found.height / side);
    for (let turn = 1; turn <= count; turn++) {
      const index = (this.place + turn) % count;
      const rect = {
        x: (index % columns) * side,
        y: Math.floor(index / columns) * side,
        width: side,
        height: side,
      };
      if (!differs(found, rect)) continue;
      this.place = index;
      const { step } = found;
      reveal(this.editor, {
        x: rect.x * step,
        y: rect.y * step,
        width: side * step,
        height: side * step,
      });
      return;
    }
    toast("Both are the same.");
  }

  private reset(): void {
    this.bases.value = [];
    this.given = null;
    this.asked = false;
    this.base.value = "";
    this.way.value = "off";
    this.found.value = null;
    this.painted = null;
    this.place = -1;
  }

  private async load(annotation: number): Promise<void> {
    try {
      const { results } = await api.bases(annotation);
      if (this.editor.workspace.value?.annotation?.id !== annotation) return;
      this.asked = true;
      this.bases.value = this.given ? [this.given.base, ...results] : results;
    } catch (error) {
      toastError(error, "Comparing");
    }
  }

  private compare(): void {
    const doc = this.editor.document.peek();
    if (!doc || !this.painted) return;
    const table = new Uint16Array(MAX_SLOT + 1);
    for (const { slot, categoryId } of doc.regions) table[slot] = categoryNumber(categoryId);
    const { width, height } = doc.size;
    const now = new Uint16Array(width * height);
    for (let at = 0, y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) now[at++] = table[doc.labels.get(x, y)]!;
    }
    for (const { id, color } of this.editor.categories.peek()) {
      this.colors.set(categoryNumber(id), rgbOf(color));
    }
    this.found.value = difference(doc.size, this.painted, now);
    this.draw(doc.size);
  }

  private draw(size: Size): void {
    const found = this.found.peek();
    const context = this.canvas.getContext("2d");
    if (!found || !context) return;
    this.canvas.width = found.width;
    this.canvas.height = found.height;
    this.canvas.style.width = `${found.width}px`;
    this.canvas.style.height = `${found.height}px`;
    const pixels = context.createImageData(found.width, found.height);
    this.fill(new Uint32Array(pixels.data.buffer), found, size);
    context.putImageData(pixels, 0, 0);
  }

  private fill(pixels: Uint32Array, found: Difference, size: Size): void {
    const way = this.way.peek();
    if (way === "heat") {
      const warm = heat(found, HEAT_RADIUS);
      for (let i = 0; i < pixels.length; i++) {
        const share = warm[i]!;
        if (share > 0)
          pixels[i] = rgba([255, 255 * (1 - share), 40], 0.35 + 0.6 * Math.sqrt(share));
      }
    } else if (way === "blink" || way === "other") {
      const { painted } = this;
      for (let i = 0; i < pixels.length && painted; i++) {
        const x = (i % found.width) * found.step;
        const y = Math.floor(i / found.width) * found.step;
        const number = painted[y * size.width + x];
        if (number) pixels[i] = rgba(this.colors.get(number) ?? [160, 160, 160], 0.55);
      }
    } else {
      for (let i = 0; i < pixels.length; i++) {
        const color = COLORS[found.cells[i]!];
        if (color) pixels[i] = rgba(color, 0.8);
      }
    }
  }

  /** Without motion for whoever asked the system for less of it: then the key switches. */
  private blink(): (() => void) | undefined {
    this.showsBase.value = this.way.value === "blink";
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (this.way.value !== "blink" || still) return undefined;
    const timer = setInterval(() => {
      this.showsBase.value = !this.showsBase.peek();
    }, BLINK);
    return () => clearInterval(timer);
  }
}

function differs({ cells, width, height }: Difference, rect: Rect): boolean {
  for (let y = rect.y; y < Math.min(height, rect.y + rect.height); y++) {
    for (let x = rect.x; x < Math.min(width, rect.x + rect.width); x++) {
      if (cells[y * width + x]) return true;
    }
  }
  return false;
}

/** One pixel of ImageData as a little-endian word. */
function rgba([red, green, blue]: readonly number[], alpha: number): number {
  const word = ((alpha * 255) << 24) | (blue! << 16) | (green! << 8) | red!;
  return word >>> 0;
}
