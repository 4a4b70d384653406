import { pathOf } from "../canvas/paths";
import { geometryMask } from "../core/loading";
import { growRect, unionRect } from "../core/rect";
import type { Size, StoredRegion } from "../core/types";
import type { Picture } from "./picture";

/**
 * Draws a region over its part of the picture so that it fills the canvas, with the outline of the
 * other version dashed, for comparing the two.
 */
export function drawVersion(
  context: CanvasRenderingContext2D,
  picture: Picture,
  size: Size,
  region: StoredRegion,
  other: StoredRegion | null,
  color: string,
): void {
  const { width, height } = context.canvas;
  const box = unionRect(
    geometryMask(region.geometry, size).bbox(),
    other && geometryMask(other.geometry, size).bbox(),
  );
  const part = growRect(box ?? { x: 0, y: 0, ...size }, 16, size);
  const scale = Math.min(width / part.width, height / part.height);
  context.setTransform(
    scale,
    0,
    0,
    scale,
    (width - part.width * scale) / 2 - part.x * scale,
    (height - part.height * scale) / 2 - part.y * scale,
  );
  context.save();
  context.beginPath();
  context.rect(part.x, part.y, part.width, part.height);
  context.clip();
  picture.draw(context);
  context.restore();
  const path = pathOf(region.geometry, size);
  context.fillStyle = color;
  context.globalAlpha = 0.45;
  context.fill(path, "evenodd");
  context.globalAlpha = 1;
  context.lineWidth = 2 / scale;
  context.strokeStyle = color;
  context.stroke(path);
  if (!other) return;
  context.setLineDash([5 / scale, 4 / scale]);
  context.strokeStyle = "#ffffff";
  context.stroke(pathOf(other.geometry, size));
}
