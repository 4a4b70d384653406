import { useEditor } from "./context";
import { Slider } from "./controls";

/** Which values of a picture of more than 8 bits are black and white: centre and width. */
export function WindowControl() {
  const editor = useEditor();
  const info = editor.workspace.value?.image.window;
  const window = editor.showing.window.value;
  if (!info || !window || editor.workspace.value?.image.levels) return null;
  const range = info.greatest - info.least || 1;
  const step = range > 1000 ? 1 : range / 1000;
  const centre = (window.low + window.high) / 2;
  const width = window.high - window.low;
  const set = (middle: number, span: number) =>
    editor.showing.setWindow({ low: middle - span / 2, high: middle + span / 2 });
  return (
    <>
      <Slider
        label="Level"
        min={Math.min(info.least, centre)}
        max={Math.max(info.greatest, centre)}
        step={step}
        value={centre}
        onInput={(value) => set(value, width)}
      />
      <Slider
        label="Window"
        min={step}
        max={Math.max(range, width)}
        step={step}
        value={width}
        onInput={(value) => set(centre, value)}
      />
      <button type="button" class="button small" onClick={() => editor.showing.setWindow(info)}>
        Reset window
      </button>
    </>
  );
}
