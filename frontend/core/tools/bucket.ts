import { floodLabel } from "../flood";
import type { Modifiers, PointerSample, Tool } from "../types";
import { inImage, paintOnce } from "./common";
import type { ToolContext } from "./context";

/** Fills the connected area of the same label. With Alt it erases that area. */
export function createBucket(context: ToolContext): Tool {
  const { doc } = context;
  return {
    name: "bucket",
    cursor: "crosshair",
    pointerDown(samples: readonly PointerSample[], modifiers: Modifiers): void {
      const at = samples[0];
      if (!at || !inImage(doc.size, at)) return;
      const area = floodLabel(doc.labels, Math.floor(at.x), Math.floor(at.y));
      paintOnce(context, "Bucket fill", "bucket", area, { erase: modifiers.alt });
    },
    pointerMove() {},
    pointerUp() {},
    key: () => false,
    cancel: () => false,
    overlays: () => [],
  };
}
