import type { Tool } from "../types";

/** Moves the picture: that is done by the canvas, the document stays as it is. */
export function createPan(): Tool {
  return {
    name: "pan",
    cursor: "grab",
    pointerDown() {},
    pointerMove() {},
    pointerUp() {},
    key: () => false,
    cancel: () => false,
    overlays: () => [],
  };
}
