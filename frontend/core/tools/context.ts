import type { Document } from "../document";
import type { Superpixels } from "../superpixels";
import type { Candidate, Category, Prompts, Rect } from "../types";
import type { View } from "../view";

/** All that a tool may know and do. */
export interface ToolContext {
  readonly doc: Document;
  readonly view: View;
  readonly categories: readonly Category[];
  /** Screen pixels per image pixel. */
  readonly scale: number;
  /** RGBA of that window of the image, row-major, 4 bytes a pixel; null while it is not there yet. */
  pixels(window: Rect): Uint8ClampedArray | null;
  /** Cuts that window of the image into patches; null while it is not there yet. */
  superpixels(window: Rect, spacing: number): Promise<Superpixels | null>;
  /** Asks the prompt engine; rejects with an Error in plain words. */
  segment(prompts: Prompts): Promise<readonly Candidate[]>;
  /** A quick answer for a preview; null where no engine answers quickly enough. */
  glance(prompts: Prompts): Promise<readonly Candidate[]> | null;
  /** Calls back after so many milliseconds; the function that it returns prevents that. */
  later(milliseconds: number, call: () => void): () => void;
  /** The overlays changed without input (an answer arrived). */
  changed(): void;
  /** Says something to the person in plain words. */
  notify(message: string): void;
}
