import type { Document, DocumentOptions } from "../document";
import { superpixels } from "../superpixels";
import { newDocument } from "../testing";
import type { Candidate, Modifiers, PointerSample, Prompts, Tool } from "../types";
import { View, type ViewState } from "../view";
import type { ToolContext } from "./context";
import { TOOLS } from "./registry";

/** Helpers of the tools' tests. */

export const NONE: Modifiers = { shift: false, alt: false, ctrl: false };
export const ALT: Modifiers = { ...NONE, alt: true };
export const SHIFT: Modifiers = { ...NONE, shift: true };
export const CTRL: Modifiers = { ...NONE, ctrl: true };

export const at = (x: number, y: number, pressure = 0.5): PointerSample => ({ x, y, pressure });

interface Asked {
  prompts: Prompts;
  answer: (candidates: Candidate[] | Error) => Promise<void>;
}

/** A document, a view and a tool, used with a pointer and keys. */
export class Bench {
  readonly doc: Document;
  readonly view: View;
  readonly said: string[] = [];
  readonly asked: Asked[] = [];
  readonly glanced: Asked[] = [];
  /** Whether the engine answers quickly enough for previews. */
  quick = true;
  readonly timers = new Set<{ milliseconds: number; call: () => void }>();
  readonly context: ToolContext;
  changes = 0;
  image: Uint8ClampedArray | null = null;
  tool: Tool;

  constructor(tool: string, options: Partial<DocumentOptions> = {}, view: Partial<ViewState> = {}) {
    this.doc = newDocument(options);
    this.view = new View({ categoryId: 1, brushRadius: 5, ...view });
    this.context = {
      doc: this.doc,
      view: this.view,
      categories: [],
      scale: 1,
      pixels: ({ x, y, width, height }) => {
        if (!this.image) return null;
        const window = new Uint8ClampedArray(width * height * 4);
        for (let row = 0; row < height; row++) {
          const start = ((y + row) * this.doc.size.width + x) * 4;
          window.set(this.image.subarray(start, start + width * 4), row * width * 4);
        }
        return window;
      },
      superpixels: async (window, spacing) => {
        const rgba = this.context.pixels(window);
        return rgba && superpixels(rgba, window, spacing);
      },
      segment: (prompts) =>
        new Promise((resolve, reject) => {
          const answer = async (said: Candidate[] | Error) => {
            if (said instanceof Error) reject(said);
            else resolve(said);
            await Promise.resolve();
            await Promise.resolve();
          };
          this.asked.push({ prompts, answer });
        }),
      glance: (prompts) =>
        this.quick
          ? new Promise((resolve, reject) => {
              const answer = async (said: Candidate[] | Error) => {
                if (said instanceof Error) reject(said);
                else resolve(said);
                await Promise.resolve();
                await Promise.resolve();
              };
              this.glanced.push({ prompts, answer });
            })
          : null,
      later: (milliseconds, call) => {
        const timer = { milliseconds, call };
        this.timers.add(timer);
        return () => this.timers.delete(timer);
      },
      changed: () => {
        this.changes++;
      },
      notify: (message) => this.said.push(message),
    };
    this.tool = this.take(tool);
  }

  take(name: string): Tool {
    this.tool = TOOLS.find((entry) => entry.name === name)!.create(this.context);
    return this.tool;
  }

  /** Makes the picture, its colour a function of the pixel. */
  show(color: (x: number, y: number) => readonly [number, number, number]): void {
    const { width, height } = this.doc.size;
    this.image = new Uint8ClampedArray(width * height * 4).fill(255);
    for (let i = 0; i < width * height; i++) {
      this.image.set(color(i % width, Math.floor(i / width)), i * 4);
    }
  }

  click(x: number, y: number, modifiers = NONE): void {
    this.tool.pointerMove([at(x, y)], modifiers);
    this.tool.pointerDown([at(x, y)], modifiers);
    this.tool.pointerUp([at(x, y)], modifiers);
  }

  drag(path: readonly (readonly [number, number])[], modifiers = NONE): void {
    const [first, ...rest] = path.map(([x, y]) => at(x, y));
    this.tool.pointerDown([first!], modifiers);
    for (const sample of rest) this.tool.pointerMove([sample], modifiers);
    this.tool.pointerUp([rest.at(-1) ?? first!], modifiers);
  }

  key(key: string, modifiers = NONE): boolean {
    return this.tool.key(key, modifiers);
  }

  /** Lets the time of all timers come. */
  wait(): void {
    const due = [...this.timers];
    this.timers.clear();
    for (const { call } of due) call();
  }

  add(categoryId: number, x: number, y: number, side: number): string {
    return this.doc.edit("add", (gesture) =>
      gesture.add({
        categoryId,
        polygons: [[[x, y, x + side, y, x + side, y + side, x, y + side]]],
      }),
    ).uuid;
  }
}
