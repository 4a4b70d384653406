import { regionsAt } from "../hittest";
import { splitByLine } from "../ops/regions";
import type { Overlay, Point, PointerSample, Tool } from "../types";
import { DRAG, distance } from "./common";
import type { ToolContext } from "./context";

/** Drags a line; the selected region, else the one under its middle, is cut in two along it. */
class SplitTool implements Tool {
  readonly name = "split";
  readonly cursor = "crosshair";
  private start: Point | null = null;
  private end: Point | null = null;

  constructor(private readonly context: ToolContext) {}

  pointerDown(samples: readonly PointerSample[]): void {
    this.start = samples[0] ?? null;
    this.end = this.start;
  }

  pointerMove(samples: readonly PointerSample[]): void {
    if (this.start) this.end = samples.at(-1) ?? this.end;
  }

  pointerUp(samples: readonly PointerSample[]): void {
    this.pointerMove(samples);
    const { start, end, context } = this;
    this.cancel();
    if (!start || !end || distance(start, end) * context.scale < DRAG) return;
    this.cut(start, end);
  }

  key(): boolean {
    return false;
  }

  cancel(): boolean {
    const any = this.start !== null;
    this.start = null;
    this.end = null;
    return any;
  }

  overlays(): readonly Overlay[] {
    if (!this.start || !this.end) return [];
    const points = [this.start.x, this.start.y, this.end.x, this.end.y];
    return [{ kind: "path", points, closed: false, style: "cut" }];
  }

  private cut(start: Point, end: Point): void {
    const { doc, view, notify } = this.context;
    const middle = { x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 };
    const uuid = view.state.selection[0] ?? regionsAt(doc, view, middle)[0]?.uuid;
    const region = uuid ? doc.region(uuid) : null;
    if (!region) notify("Select the region to cut.");
    else if (view.isLocked(region)) notify("That region is locked.");
    else {
      try {
        const part = splitByLine(doc, region.uuid, start, end);
        view.select(region.uuid, part);
      } catch (error) {
        notify(error instanceof Error ? error.message : String(error));
      }
    }
  }
}

export function createSplit(context: ToolContext): Tool {
  return new SplitTool(context);
}
