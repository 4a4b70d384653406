import type { ProjectKind, Tool } from "../types";
import { createAssist } from "./assist";
import { createBrush, createEraser } from "./brush";
import { createBucket } from "./bucket";
import type { ToolContext } from "./context";
import { createLasso } from "./lasso";
import { createLiveWire } from "./livewire";
import { createPan } from "./pan";
import { createPolygon } from "./polygon";
import { createRectangle } from "./rectangle";
import { createSelect } from "./select";
import { createSplit } from "./split";
import { createSuperpixel } from "./superpixel";
import { createWand } from "./wand";

export interface ToolEntry {
  readonly name: string;
  readonly title: string;
  readonly hotkey: string;
  readonly kinds: readonly ProjectKind[];
  readonly create: (context: ToolContext) => Tool;
}

const ALL: readonly ProjectKind[] = ["semantic", "instance", "panoptic"];

/** Every tool, in the order of the toolbar. */
export const TOOLS: readonly ToolEntry[] = [
  { name: "select", title: "Select and move", hotkey: "v", kinds: ALL, create: createSelect },
  { name: "brush", title: "Brush", hotkey: "b", kinds: ALL, create: createBrush },
  { name: "eraser", title: "Eraser", hotkey: "e", kinds: ALL, create: createEraser },
  { name: "polygon", title: "Polygon", hotkey: "p", kinds: ALL, create: createPolygon },
  { name: "rectangle", title: "Rectangle", hotkey: "r", kinds: ALL, create: createRectangle },
  { name: "lasso", title: "Lasso", hotkey: "l", kinds: ALL, create: createLasso },
  { name: "bucket", title: "Bucket fill", hotkey: "g", kinds: ALL, create: createBucket },
  { name: "wand", title: "Magic wand", hotkey: "w", kinds: ALL, create: createWand },
  {
    name: "superpixel",
    title: "Superpixels",
    hotkey: "s",
    kinds: ALL,
    create: createSuperpixel,
  },
  { name: "livewire", title: "Live wire", hotkey: "q", kinds: ALL, create: createLiveWire },
  { name: "assist", title: "Assist", hotkey: "a", kinds: ALL, create: createAssist },
  {
    name: "split",
    title: "Cut in two",
    hotkey: "k",
    kinds: ["instance", "panoptic"],
    create: createSplit,
  },
  { name: "pan", title: "Pan", hotkey: "h", kinds: ALL, create: createPan },
];
