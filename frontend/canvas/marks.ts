import { intersects } from "../core/rect";
import type { Geometry, Overlay, Point, Rect, Size } from "../core/types";
import { maskPath, pathOf, polygonPath } from "./paths";
import type { Camera, Viewport } from "./viewport";

/** A region that a model proposes. */
export interface ProposalMark {
  readonly kind: "proposal";
  readonly geometry: Geometry;
  readonly bbox: Rect;
  readonly size: Size;
  /** CSS colour. */
  readonly color: string;
  readonly active: boolean;
}

/** A comment at a pixel. */
export interface PinMark {
  readonly kind: "pin";
  readonly x: number;
  readonly y: number;
  readonly label: string;
  readonly resolved: boolean;
}

/** A padlock on a region that tools leave as it is. */
export interface LockMark {
  readonly kind: "lock";
  readonly x: number;
  readonly y: number;
}

/** Everything that is drawn over the picture. */
export type Mark = Overlay | ProposalMark | PinMark | LockMark;

const ACCENT = "#3b82f6";
const DARK = "rgba(10, 12, 16, 0.85)";
const CUT = "#ff5d5d";
const POSITIVE = "#22c55e";
const NEGATIVE = "#ef4444";
/** Side of a handle, CSS pixels. */
const HANDLE = 9;

/** Whether both look the same. Marks that hold points may have changed in place, so they never do. */
export function alike(marks: readonly Mark[], others: readonly Mark[]): boolean {
  return (
    marks.length === others.length &&
    marks.every((mark, index) => {
      const other = new Map(Object.entries(others[index]!));
      const values = Object.entries(mark);
      return (
        values.length === other.size &&
        values.every(([key, value]) =>
          key === "size" ? other.has(key) : typeof value !== "object" && value === other.get(key),
        )
      );
    })
  );
}

/** Draws marks in CSS pixels, over whatever is on the canvas. `ratio`: device pixels per CSS pixel. */
export function drawMarks(
  context: CanvasRenderingContext2D,
  marks: readonly Mark[],
  viewport: Viewport,
  ratio: number,
): void {
  const { camera } = viewport;
  const visible = viewport.visible();
  const inImage = () =>
    context.setTransform(
      ratio * camera.scale,
      0,
      0,
      ratio * camera.scale,
      ratio * camera.x,
      ratio * camera.y,
    );
  const onScreen = () => context.setTransform(ratio, 0, 0, ratio, 0, 0);
  for (const mark of marks) {
    context.setLineDash([]);
    context.globalAlpha = 1;
    switch (mark.kind) {
      case "proposal":
        if (!intersects(mark.bbox, visible)) break;
        inImage();
        drawProposal(context, mark, camera.scale);
        break;
      case "path":
        inImage();
        drawPath(context, mark, camera.scale);
        break;
      case "mask": {
        inImage();
        const [height, width] = mark.size;
        const path = maskPath(mark.counts, { width, height });
        context.fillStyle = mark.style === "preview" ? ACCENT : "#ffffff";
        context.globalAlpha = { preview: 0.4, hover: 0.3, proposal: 0.12 }[mark.style];
        context.fill(path, "evenodd");
        context.globalAlpha = 1;
        cased(context, path, camera.scale, "#ffffff", mark.style === "proposal" ? [6, 4] : []);
        break;
      }
      case "handle":
        onScreen();
        drawHandle(context, mark, camera);
        break;
      case "circle":
      case "square":
        onScreen();
        drawBrush(context, mark, camera);
        break;
      case "box": {
        onScreen();
        const path = new Path2D();
        const { x, y } = viewport.toScreen(mark);
        path.rect(x, y, mark.width * camera.scale, mark.height * camera.scale);
        cased(context, path, 1, mark.style === "draft" ? "#ffffff" : ACCENT, [5, 4]);
        break;
      }
      case "lock":
        onScreen();
        drawLock(context, viewport.toScreen(mark));
        break;
      case "pin":
        onScreen();
        drawPin(context, mark, viewport);
        break;
    }
  }
  onScreen();
  context.setLineDash([]);
  context.globalAlpha = 1;
}

function drawLock(context: CanvasRenderingContext2D, { x, y }: Point): void {
  context.fillStyle = DARK;
  context.beginPath();
  context.arc(x, y, 9, 0, 2 * Math.PI);
  context.fill();
  context.fillStyle = "#ffffff";
  context.fillRect(x - 4, y - 1, 8, 6);
  context.strokeStyle = "#ffffff";
  context.lineWidth = 1.5;
  context.beginPath();
  context.arc(x, y - 1, 2.7, Math.PI, 0);
  context.stroke();
}

/** A line with a dark rim, readable on any picture. Widths are CSS pixels whatever the scale. */
function cased(
  context: CanvasRenderingContext2D,
  path: Path2D,
  scale: number,
  color: string,
  dash: readonly number[],
  width = 1.5,
): void {
  context.lineJoin = "round";
  context.setLineDash([]);
  context.strokeStyle = DARK;
  context.lineWidth = (width + 2) / scale;
  context.globalAlpha = 0.55;
  context.stroke(path);
  context.globalAlpha = 1;
  context.setLineDash(dash.map((length) => length / scale));
  context.strokeStyle = color;
  context.lineWidth = width / scale;
  context.stroke(path);
}

function drawProposal(context: CanvasRenderingContext2D, mark: ProposalMark, scale: number): void {
  const path = pathOf(mark.geometry, mark.size);
  context.fillStyle = mark.color;
  context.globalAlpha = mark.active ? 0.35 : 0.1;
  context.fill(path, "evenodd");
  cased(
    context,
    path,
    scale,
    mark.active ? "#ffffff" : mark.color,
    [6, 4],
    mark.active ? 2.5 : 1.5,
  );
}

function drawPath(
  context: CanvasRenderingContext2D,
  mark: Extract<Overlay, { kind: "path" }>,
  scale: number,
): void {
  const path = polygonPath([mark.points], mark.closed);
  switch (mark.style) {
    case "draft":
      if (mark.closed) {
        context.fillStyle = ACCENT;
        context.globalAlpha = 0.18;
        context.fill(path);
      }
      cased(context, path, scale, "#ffffff", []);
      break;
    case "edge":
      cased(context, path, scale, ACCENT, [], 2);
      break;
    case "cut":
      cased(context, path, scale, CUT, [7, 4], 2);
      break;
    case "guide":
      cased(context, path, scale, "#ffffff", [3, 4], 1);
      break;
  }
}

function drawHandle(
  context: CanvasRenderingContext2D,
  mark: Extract<Overlay, { kind: "handle" }>,
  camera: Camera,
): void {
  const x = mark.x * camera.scale + camera.x;
  const y = mark.y * camera.scale + camera.y;
  const half = HANDLE / 2;
  context.beginPath();
  context.lineWidth = 1.5;
  context.strokeStyle = DARK;
  switch (mark.style) {
    case "vertex":
    case "active":
      context.rect(x - half, y - half, HANDLE, HANDLE);
      context.fillStyle = mark.style === "active" ? ACCENT : "#ffffff";
      context.strokeStyle = mark.style === "active" ? "#ffffff" : DARK;
      break;
    case "midpoint":
      context.arc(x, y, 3.5, 0, 2 * Math.PI);
      context.fillStyle = "rgba(255, 255, 255, 0.7)";
      break;
    default:
      context.arc(x, y, 8, 0, 2 * Math.PI);
      context.fillStyle = mark.style === "positive" ? POSITIVE : NEGATIVE;
      context.strokeStyle = "#ffffff";
  }
  context.fill();
  context.stroke();
  if (mark.style === "positive" || mark.style === "negative") {
    context.beginPath();
    context.moveTo(x - 4, y);
    context.lineTo(x + 4, y);
    if (mark.style === "positive") {
      context.moveTo(x, y - 4);
      context.lineTo(x, y + 4);
    }
    context.stroke();
  }
}

function drawBrush(
  context: CanvasRenderingContext2D,
  mark: Extract<Overlay, { kind: "circle" | "square" }>,
  camera: Camera,
): void {
  const x = mark.x * camera.scale + camera.x;
  const y = mark.y * camera.scale + camera.y;
  const radius = Math.max(mark.radius * camera.scale, 1.5);
  const path = new Path2D();
  if (mark.kind === "circle") path.arc(x, y, radius, 0, 2 * Math.PI);
  else path.rect(x - radius, y - radius, 2 * radius, 2 * radius);
  if (radius > 8) {
    path.moveTo(x - 2, y);
    path.lineTo(x + 2, y);
    path.moveTo(x, y - 2);
    path.lineTo(x, y + 2);
  }
  cased(
    context,
    path,
    1,
    mark.style === "eraser" ? "#ffb4a8" : "#ffffff",
    mark.style === "eraser" ? [4, 3] : [],
    1.25,
  );
}

function drawPin(context: CanvasRenderingContext2D, mark: PinMark, viewport: Viewport): void {
  const { x, y } = viewport.toScreen(mark);
  context.beginPath();
  context.moveTo(x, y);
  context.arc(x, y - 20, 10, 0.25 * Math.PI, 0.75 * Math.PI, true);
  context.closePath();
  context.fillStyle = mark.resolved ? "#6b7280" : "#f59e0b";
  context.strokeStyle = DARK;
  context.lineWidth = 1.5;
  context.fill();
  context.stroke();
  context.fillStyle = "#111827";
  context.font = "bold 11px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(mark.label, x, y - 20);
}
