import { Attributes } from "./Attributes";
import * as actions from "./actions";
import { useEditor } from "./context";
import { Section } from "./controls";
import { areaLabel } from "./Regions";

/** Facts of the selected regions, and what can be set on them. */
export function Selection() {
  const editor = useEditor();
  editor.changes.value;
  const { selection } = editor.viewState.value;
  const doc = editor.document.value;
  const regions = selection.flatMap((uuid) => doc?.region(uuid) ?? []);
  const first = regions[0];
  if (!first) return null;
  const editable = editor.editable.value;
  const same = regions.every(({ categoryId }) => categoryId === first.categoryId);
  const isThing = editor.categories.value.find(({ id }) => id === first.categoryId)?.isThing;
  const { x, y, width, height } = first.bbox;
  return (
    <Section
      title={regions.length > 1 ? `${regions.length} regions` : "Selection"}
      class="selection"
    >
      <label class="field-row">
        <span>Category</span>
        <select
          disabled={!editable}
          value={same ? String(first.categoryId) : ""}
          onChange={(event) => {
            actions.setCategory(editor, selection, Number(event.currentTarget.value));
          }}
        >
          {!same && <option value="">Several</option>}
          {editor.categories.value
            .filter(({ archived, id }) => !archived || id === first.categoryId)
            .map(({ id, name }) => (
              <option key={id} value={String(id)}>
                {name}
              </option>
            ))}
        </select>
      </label>
      {doc?.kind !== "semantic" && isThing && (
        <label class="check">
          <input
            type="checkbox"
            disabled={!editable}
            checked={regions.every(({ isCrowd }) => isCrowd)}
            onChange={(event) => {
              const isCrowd = event.currentTarget.checked;
              editor.edit(isCrowd ? "Mark as a crowd" : "Mark as one object", (gesture) => {
                for (const { uuid } of regions) gesture.update(uuid, { isCrowd });
              });
            }}
          />
          Crowd: several objects that cannot be told apart
        </label>
      )}
      {regions.length === 1 && (
        <p class="facts">
          {areaLabel(first.area)} · {Math.round(width)} × {Math.round(height)} at {Math.round(x)},{" "}
          {Math.round(y)} · {first.geometry.type === "mask" ? "mask" : "polygon"} ·{" "}
          {first.source || "unknown"}
        </p>
      )}
      <Attributes key={first.uuid} regions={regions} />
    </Section>
  );
}
