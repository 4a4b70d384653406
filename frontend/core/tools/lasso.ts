import { rasterize } from "../rasterize";
import type { Modifiers, Overlay, PointerSample, Tool } from "../types";
import { clampPoint, paintOnce } from "./common";
import type { ToolContext } from "./context";

/** Fills what is circled by hand into the mask. With Alt it erases it. */
class LassoTool implements Tool {
  readonly name = "lasso";
  readonly cursor = "crosshair";
  private path: number[] | null = null;
  private erase = false;

  constructor(private readonly context: ToolContext) {}

  pointerDown(samples: readonly PointerSample[], modifiers: Modifiers): void {
    this.path = [];
    this.erase = modifiers.alt;
    this.extend(samples);
  }

  pointerMove(samples: readonly PointerSample[]): void {
    if (this.path) this.extend(samples);
  }

  pointerUp(samples: readonly PointerSample[]): void {
    if (!this.path) return;
    this.extend(samples);
    const area = rasterize([[this.path]], this.context.doc.size);
    this.path = null;
    if (area.isEmpty) return;
    const title = this.erase ? "Lasso erase" : "Lasso fill";
    paintOnce(this.context, title, "lasso", area, { erase: this.erase });
  }

  key(): boolean {
    return false;
  }

  cancel(): boolean {
    const any = this.path !== null;
    this.path = null;
    return any;
  }

  overlays(): readonly Overlay[] {
    if (!this.path) return [];
    return [{ kind: "path", points: this.path, closed: true, style: this.erase ? "cut" : "draft" }];
  }

  private extend(samples: readonly PointerSample[]): void {
    for (const sample of samples) {
      const { x, y } = clampPoint(this.context.doc.size, sample);
      this.path!.push(x, y);
    }
  }
}

export function createLasso(context: ToolContext): Tool {
  return new LassoTool(context);
}
