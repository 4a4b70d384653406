import { DEFAULT_DISPLAY, type Display } from "../canvas/renderer";
import { useEditor } from "./context";
import { Section, Slider } from "./controls";
import { Theme } from "./Theme";
import { WindowControl } from "./WindowControl";

export function DisplayPanel() {
  const editor = useEditor();
  const display = editor.display.value;
  const { colorBy } = editor.viewState.value;
  const set = (change: Partial<Display>) => {
    editor.display.value = { ...display, ...change };
  };
  const check = (label: string, name: "outlineOnly" | "showImage" | "showRegions") => (
    <label class="check">
      <input
        type="checkbox"
        checked={display[name]}
        onChange={(event) => set({ [name]: event.currentTarget.checked })}
      />
      {label}
    </label>
  );
  return (
    <Section title="Display" class="display">
      <fieldset class="segments" aria-label="Colours">
        {(["category", "region"] as const).map((by) => (
          <button
            key={by}
            type="button"
            class="segment"
            aria-pressed={colorBy === by}
            onClick={() => editor.view.set({ colorBy: by })}
          >
            {by === "category" ? "By category" : "By object"}
          </button>
        ))}
      </fieldset>
      <Slider
        label="Opacity"
        min={0}
        max={1}
        step={0.05}
        value={display.opacity}
        onInput={(opacity) => set({ opacity })}
      />
      <div class="row wrap">
        {check("Regions", "showRegions")}
        {check("Outlines only", "outlineOnly")}
        {check("Image", "showImage")}
        <label class="check">
          <input
            type="checkbox"
            checked={editor.rulers.value}
            onChange={(event) => {
              editor.rulers.value = event.currentTarget.checked;
            }}
          />
          Rulers
        </label>
      </div>
      <WindowControl />
      <Slider
        label="Brightness"
        min={-0.5}
        max={0.5}
        step={0.01}
        value={display.brightness}
        onInput={(brightness) => set({ brightness })}
      />
      <Slider
        label="Contrast"
        min={0.2}
        max={3}
        step={0.05}
        value={display.contrast}
        onInput={(contrast) => set({ contrast })}
      />
      <Slider
        label="Gamma"
        min={0.2}
        max={3}
        step={0.05}
        value={display.gamma}
        onInput={(gamma) => set({ gamma })}
      />
      <button type="button" class="button small" onClick={() => set(DEFAULT_DISPLAY)}>
        Reset
      </button>
      <Theme />
      <label class="check">
        <input
          type="checkbox"
          checked={editor.personal.value.leftHanded}
          onChange={(event) =>
            void editor.personal.set({ leftHanded: event.currentTarget.checked })
          }
        />
        Left-handed: tools right, lists left
      </label>
    </Section>
  );
}
