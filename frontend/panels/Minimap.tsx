import { useEffect, useRef } from "preact/hooks";
import { useEditor } from "./context";

/** Longer side, CSS pixels. */
const SIDE = 168;

/** The whole image in a corner with the part that is on the screen; shown while zoomed in. */
export function Minimap() {
  const editor = useEditor();
  const canvas = useRef<HTMLCanvasElement>(null);
  const camera = editor.camera.value;
  const ready = !editor.showing.missing.value;
  const { image } = editor.stage.viewport;
  const zoomed = ready && camera.scale > editor.stage.viewport.fitScale * 1.05;
  const factor = SIDE / Math.max(image.width, image.height);
  const width = Math.max(1, Math.round(image.width * factor));
  const height = Math.max(1, Math.round(image.height * factor));

  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (zoomed && context) editor.showing.drawThumbnail(context, width, height);
  }, [editor, zoomed, width, height]);

  if (!zoomed) return null;
  const visible = editor.stage.viewport.visible();
  const move = (event: PointerEvent & { currentTarget: HTMLElement }) => {
    if (event.buttons === 0) return;
    const box = event.currentTarget.getBoundingClientRect();
    editor.stage.viewport.centre({
      x: (event.clientX - box.left) / factor,
      y: (event.clientY - box.top) / factor,
    });
  };
  return (
    <div
      class="minimap"
      aria-hidden="true"
      style={{ width: `${width}px`, height: `${height}px` }}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        move(event);
      }}
      onPointerMove={move}
    >
      <canvas ref={canvas} width={width} height={height} />
      <div
        class="minimap-frame"
        style={{
          left: `${visible.x * factor}px`,
          top: `${visible.y * factor}px`,
          width: `${visible.width * factor}px`,
          height: `${visible.height * factor}px`,
        }}
      />
    </div>
  );
}
