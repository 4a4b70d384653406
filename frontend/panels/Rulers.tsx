import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { useEditor } from "./context";
import { ticks } from "./ticks";

/** Thickness, CSS pixels; `editor.css` has the same. */
const SIZE = 20;

/** Pixel coordinates along the top and the left of the picture, and where the pointer is on them. */
export function Rulers() {
  const editor = useEditor();
  const top = useRef<HTMLCanvasElement>(null);
  const left = useRef<HTMLCanvasElement>(null);
  const rulers = editor.rulers.value;
  useEffect(() => {
    if (!rulers) return;
    return effect(() => {
      const { scale, x, y } = editor.camera.value;
      const pointer = editor.pointer.value;
      const { screen } = editor.stage.viewport;
      if (top.current) draw(top.current, screen.width, false, scale, x, pointer?.x);
      if (left.current) draw(left.current, screen.height, true, scale, y, pointer?.y);
    });
  }, [editor, rulers]);
  if (!rulers) return null;
  return (
    <div aria-hidden="true">
      <canvas ref={top} class="ruler top" />
      <canvas ref={left} class="ruler left" />
    </div>
  );
}

/** `offset`: where pixel 0 is, in CSS pixels from the start of the ruler. */
function draw(
  canvas: HTMLCanvasElement,
  length: number,
  upright: boolean,
  scale: number,
  offset: number,
  pointer: number | undefined,
): void {
  const ratio = devicePixelRatio || 1;
  const [width, height] = upright ? [SIZE, length] : [length, SIZE];
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  if (!context) return;
  // An upright one is drawn as a lying one that is turned and mirrored.
  if (upright) context.setTransform(0, ratio, ratio, 0, 0, 0);
  else context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const { color, fontFamily } = getComputedStyle(canvas);
  context.fillStyle = color;
  context.font = `10px ${fontFamily}`;
  context.textBaseline = "middle";
  for (const { at, label } of ticks(-offset / scale, (length - offset) / scale, scale)) {
    const place = at * scale + offset;
    context.fillRect(Math.round(place), label === null ? SIZE - 4 : 4, 1, SIZE);
    if (label === null) continue;
    context.save();
    context.translate(place + 3, 8);
    if (upright) context.scale(1, -1);
    context.fillText(label, 0, 0);
    context.restore();
  }
  if (pointer === undefined) return;
  context.fillStyle = "#ff5d5d";
  context.fillRect(Math.round(pointer * scale + offset), 0, 1, SIZE);
}
