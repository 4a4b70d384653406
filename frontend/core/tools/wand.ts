import { flood } from "../flood";
import type { Mask } from "../mask";
import { growRect } from "../rect";
import type { Modifiers, PointerSample, Size, Tool } from "../types";
import { inImage, paintOnce } from "./common";
import type { ToolContext } from "./context";

const FIRST_REACH = 256;

/**
 * Fills the connected area of a similar colour: no channel differs from the clicked pixel by more
 * than the tolerance. With Alt it erases that area. `+` and `-` change the tolerance.
 */
export function createWand(context: ToolContext): Tool {
  const { doc, view } = context;
  return {
    name: "wand",
    cursor: "crosshair",
    pointerDown(samples: readonly PointerSample[], modifiers: Modifiers): void {
      const at = samples[0];
      if (!at || !inImage(doc.size, at)) return;
      const area = similarArea(context, Math.floor(at.x), Math.floor(at.y));
      if (area) paintOnce(context, "Magic wand", "wand", area, { erase: modifiers.alt });
      else context.notify("The image is still loading.");
    },
    pointerMove() {},
    pointerUp() {},
    key(key: string): boolean {
      if (key !== "+" && key !== "-") return false;
      const next = view.state.wandTolerance + (key === "+" ? 2 : -2);
      view.set({ wandTolerance: Math.min(255, Math.max(0, next)) });
      return true;
    },
    cancel: () => false,
    overlays: () => [],
  };
}

/** Looks at a window around the pixel, and at a larger one while the area reaches its border. */
function similarArea({ doc, view, pixels }: ToolContext, x: number, y: number): Mask | null {
  const { size } = doc;
  const tolerance = view.state.wandTolerance;
  for (let reach = FIRST_REACH; ; reach *= 2) {
    const window = growRect({ x, y, width: 1, height: 1 }, reach, size);
    const rgba = pixels(window);
    if (!rgba) return null;
    const offset = (px: number, py: number) => ((py - window.y) * window.width + px - window.x) * 4;
    const seed = offset(x, y);
    const [red, green, blue] = [rgba[seed]!, rgba[seed + 1]!, rgba[seed + 2]!];
    const similar = (px: number, py: number) => {
      const i = offset(px, py);
      return (
        Math.abs(rgba[i]! - red) <= tolerance &&
        Math.abs(rgba[i + 1]! - green) <= tolerance &&
        Math.abs(rgba[i + 2]! - blue) <= tolerance
      );
    };
    const area = flood(size, x, y, similar, window);
    if (!reachesInnerBorder(area, window, size)) return area;
  }
}

/** Whether it touches a side of the window that is not a side of the image. */
function reachesInnerBorder(
  area: Mask,
  window: { x: number; y: number; width: number; height: number },
  size: Size,
): boolean {
  const box = area.bbox();
  const [right, bottom] = [window.x + window.width, window.y + window.height];
  return (
    (window.x > 0 && box.x === window.x) ||
    (window.y > 0 && box.y === window.y) ||
    (right < size.width && box.x + box.width === right) ||
    (bottom < size.height && box.y + box.height === bottom)
  );
}
