import { TOOLS } from "../core/tools/registry";
import * as actions from "./actions";
import { keyLabel } from "./commands";
import { useEditor, useShared } from "./context";
import { Slider } from "./controls";
import { Icon, IconButton, type IconName } from "./icons";

const ICONS: Record<string, IconName> = {
  select: "select",
  pan: "hand",
  brush: "brush",
  eraser: "eraser",
  polygon: "polygon",
  rectangle: "box",
  lasso: "lasso",
  bucket: "bucket",
  wand: "wand",
  assist: "assist",
  split: "scissors",
  superpixel: "superpixel",
  livewire: "livewire",
};

/** Tools that keep to the unlabeled pixels when they are told to. */
const PAINTERS = ["polygon", "rectangle", "lasso", "bucket", "wand", "superpixel", "livewire"];

export function ToolBar() {
  const { editor, commands } = useShared();
  const current = editor.toolName.value;
  const keyOf = (name: string) => commands.find(({ id }) => id === `tool.${name}`)?.keys[0] ?? "";
  return (
    <div class="toolbar" role="toolbar" aria-label="Tools" aria-orientation="vertical">
      {TOOLS.filter(({ kinds }) => {
        const kind = editor.workspace.value?.project.kind;
        return !kind || kinds.includes(kind);
      }).map((tool) => (
        <IconButton
          key={tool.name}
          class="tool"
          icon={ICONS[tool.name] ?? "select"}
          label={tool.title}
          keys={keyLabel(keyOf(tool.name))}
          pressed={current === tool.name}
          disabled={!actions.toolUsable(editor, tool)}
          onClick={() => {
            editor.selectTool(tool.name);
            editor.stage.element.focus({ preventScroll: true });
          }}
        />
      ))}
    </div>
  );
}

/** What the tool in hand can be told, and how it is used. */
export function ToolOptions() {
  const editor = useEditor();
  const name = editor.toolName.value;
  const state = editor.viewState.value;
  const set = editor.view.set.bind(editor.view);
  const tool = TOOLS.find((one) => one.name === name);
  const brush = name === "brush" || name === "eraser";
  const paints = brush || PAINTERS.includes(name);
  if (!editor.editable.value) return <ReadOnlyStrip />;
  const category = editor.categories.value.find(({ id }) => id === state.categoryId);
  const doc = editor.document.value;
  return (
    <fieldset class="options" aria-label={`Options of ${tool?.title ?? "the tool"}`}>
      <span class="option-title">
        <Icon name={ICONS[name] ?? "select"} />
        {tool?.title}
      </span>
      {category && name !== "pan" && name !== "select" && (
        <span class="option category-now">
          <span class="swatch" style={{ background: category.color }} />
          <span class="clip">{category.name}</span>
        </span>
      )}
      {brush && (
        <>
          <Slider
            label="Size"
            min={1}
            max={200}
            value={state.brushRadius}
            suffix=" px"
            onInput={(brushRadius) => set({ brushRadius })}
          />
          <fieldset class="segments small" aria-label="Brush shape">
            {(["round", "square"] as const).map((shape) => (
              <button
                key={shape}
                type="button"
                class="segment"
                aria-label={shape === "round" ? "Round brush" : "Square brush"}
                aria-pressed={state.brushShape === shape}
                onClick={() => set({ brushShape: shape })}
              >
                <Icon name={shape === "round" ? "circle" : "square"} />
              </button>
            ))}
          </fieldset>
          <Check
            label="Pen pressure"
            on={state.brushPressure}
            set={(on) => set({ brushPressure: on })}
          />
        </>
      )}
      {name === "wand" && (
        <Slider
          label="Tolerance"
          min={0}
          max={128}
          value={state.wandTolerance}
          onInput={(wandTolerance) => set({ wandTolerance })}
        />
      )}
      {name === "superpixel" && (
        <Slider
          label="Patch size"
          min={4}
          max={128}
          value={state.superpixelSize}
          suffix=" px"
          onInput={(superpixelSize) => set({ superpixelSize })}
        />
      )}
      {paints && name !== "eraser" && <PaintOver />}
      {(name === "polygon" || name === "select") && doc?.kind === "instance" && (
        <>
          <Check
            label="Snap"
            on={state.snapDistance > 0}
            set={(on) => set({ snapDistance: on ? 8 : 0 })}
          />
          <Check
            label="Shared borders"
            on={state.sharedBorders}
            set={(on) => set({ sharedBorders: on })}
          />
        </>
      )}
      {name === "assist" && (
        <>
          <AssistModel />
          <Check
            label="Preview under the pointer"
            on={state.assistPreview}
            set={(on) => set({ assistPreview: on })}
          />
        </>
      )}
      {editor.engine.thinking.value && (
        <span class="option" role="status">
          <span class="spinner" aria-hidden="true" /> Looking…
        </span>
      )}
      <span class="hint clip" role="status">
        {editor.toolSays.value || HINTS[name]}
      </span>
    </fieldset>
  );
}

const HINTS: Record<string, string> = {
  select:
    "Click a region; drag vertices and edges; Ctrl parts shared ones; Shift adds to the selection",
  superpixel: "Click or drag over patches; right button erases; + and - change their size",
  livewire: "Click along the edge; Enter closes; Backspace takes back; Shift is straight",
  polygon: "Click for vertices; Enter or a click on the first one closes; Esc cancels",
  assist:
    "Click on the object; right click takes away; drag a box; Tab: other masks; Enter accepts",
  split: "Draw a line across the selected region",
  rectangle: "Drag from corner to corner",
  lasso: "Draw around the area",
  wand: "Click on the colour",
  bucket: "Click into the area to fill",
};

/** Which pixels the painting tools may change. */
function PaintOver() {
  const editor = useEditor();
  const { onlyUnlabeled, onlyOver } = editor.viewState.value;
  const value = onlyUnlabeled ? "unlabeled" : String(onlyOver ?? "");
  return (
    <label class="option">
      Paint over
      <select
        value={value}
        onChange={(event) => {
          const chosen = event.currentTarget.value;
          const category = Number(chosen);
          editor.view.set({
            onlyUnlabeled: chosen === "unlabeled",
            onlyOver: category > 0 ? category : null,
          });
        }}
      >
        <option value="">Everything</option>
        <option value="unlabeled">Unlabeled pixels only</option>
        {editor.usableCategories.value.map(({ id, name }) => (
          <option key={id} value={String(id)}>
            Only {name}
          </option>
        ))}
      </select>
    </label>
  );
}

function AssistModel() {
  const editor = useEditor();
  const usable = editor.engine.models.value;
  if (usable.length < 2) return usable[0] ? <span class="option">{usable[0].name}</span> : null;
  return (
    <label class="option">
      Model
      <select
        value={String(editor.engine.model.value)}
        onChange={(event) => {
          editor.engine.model.value = Number(event.currentTarget.value);
        }}
      >
        <option value="0">Best installed</option>
        {usable.map((model) => (
          <option key={model.id} value={String(model.id)}>
            {model.name}
          </option>
        ))}
      </select>
    </label>
  );
}

function Check(props: { label: string; on: boolean; set: (on: boolean) => void }) {
  return (
    <label class="check option">
      <input
        type="checkbox"
        checked={props.on}
        onChange={(event) => props.set(event.currentTarget.checked)}
      />
      {props.label}
    </label>
  );
}

/** Why nothing can be drawn here. */
function ReadOnlyStrip() {
  const editor = useEditor();
  const { annotation } = editor.workspace.value ?? {};
  return (
    <div class="options read-only" role="status">
      <Icon name="lock" />
      <span>{readOnlyReason(annotation?.status, annotation?.annotator.username)}</span>
    </div>
  );
}

export function readOnlyReason(status: string | undefined, annotator = ""): string {
  switch (status) {
    case "submitted":
      return `Submitted by ${annotator} and waiting for a verdict: it cannot be changed now.`;
    case "approved":
      return `The work of ${annotator} is approved: it can only be changed after it is reopened.`;
    case undefined:
      return "In this project the queue says who labels what: ask it for your next image.";
    default:
      return `This is the work of ${annotator}: you can look at it, and only ${annotator} changes it.`;
  }
}
