import type { Rect, Size } from "./types";

export const EMPTY_RECT: Rect = { x: 0, y: 0, width: 0, height: 0 };

/** The smallest rectangle around both; empty ones count for nothing. */
export function unionRect(a: Rect | null, b: Rect | null): Rect | null {
  if (!a || a.width === 0) return b && b.width > 0 ? b : null;
  if (!b || b.width === 0) return a;
  const x = Math.min(a.x, b.x);
  const y = Math.min(a.y, b.y);
  return {
    x,
    y,
    width: Math.max(a.x + a.width, b.x + b.width) - x,
    height: Math.max(a.y + a.height, b.y + b.height) - y,
  };
}

export function intersects(a: Rect, b: Rect): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

/** `rect` grown by `margin` on every side and cut to the image. */
export function growRect(rect: Rect, margin: number, size: Size): Rect {
  const x = Math.max(0, Math.floor(rect.x - margin));
  const y = Math.max(0, Math.floor(rect.y - margin));
  return {
    x,
    y,
    width: Math.max(0, Math.min(size.width, Math.ceil(rect.x + rect.width + margin)) - x),
    height: Math.max(0, Math.min(size.height, Math.ceil(rect.y + rect.height + margin)) - y),
  };
}
