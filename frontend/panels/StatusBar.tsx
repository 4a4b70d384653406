import { useEditor } from "./context";
import { CommandButton } from "./TopBar";

/** Where the pointer is, what is under it, and the zoom. */
export function StatusBar() {
  const editor = useEditor();
  const point = editor.pointer.value;
  const { scale } = editor.camera.value;
  const size = editor.workspace.value?.image;
  const region = point ? editor.regionAt(point) : null;
  const category = editor.categories.value.find(({ id }) => id === region?.categoryId);
  return (
    <div class="statusbar">
      {size && (
        <span>
          {size.width} × {size.height}
        </span>
      )}
      <span class="coordinates">{point && `${Math.floor(point.x)}, ${Math.floor(point.y)}`}</span>
      <span class="clip">{category?.name ?? ""}</span>
      <span class="grow" />
      <CommandButton id="view.out" />
      <span class="zoom">{scale < 0.1 ? (scale * 100).toFixed(1) : Math.round(scale * 100)} %</span>
      <CommandButton id="view.in" />
      <CommandButton id="view.fit" />
    </div>
  );
}
