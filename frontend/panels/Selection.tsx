import { useState } from "preact/hooks";
import * as actions from "./actions";
import { useEditor } from "./context";
import { Section } from "./controls";
import { IconButton } from "./icons";
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
        <>
          <p class="facts">
            {areaLabel(first.area)} · {Math.round(width)} × {Math.round(height)} at {Math.round(x)},{" "}
            {Math.round(y)} · {first.geometry.type === "mask" ? "mask" : "polygon"} ·{" "}
            {first.source || "unknown"}
          </p>
          <Attributes key={first.uuid} />
        </>
      )}
    </Section>
  );
}

/** Free notes on one region, as name and value. */
function Attributes() {
  const editor = useEditor();
  editor.changes.value;
  const [name, setName] = useState("");
  const uuid = editor.viewState.value.selection[0] ?? "";
  const attributes = editor.document.value?.region(uuid)?.attributes ?? {};
  const editable = editor.editable.value;
  const store = (next: Readonly<Record<string, unknown>>) =>
    editor.edit("Change an attribute", (gesture) => gesture.update(uuid, { attributes: next }));
  return (
    <div class="attributes">
      {Object.entries(attributes).map(([key, value]) => (
        <label class="field-row" key={key}>
          <span class="clip">{key}</span>
          <input
            type="text"
            value={typeof value === "string" ? value : JSON.stringify(value)}
            disabled={!editable}
            onChange={(event) => store({ ...attributes, [key]: event.currentTarget.value })}
          />
          <IconButton
            icon="close"
            label={`Remove ${key}`}
            disabled={!editable}
            onClick={() => {
              const { [key]: _, ...rest } = attributes;
              store(rest);
            }}
          />
        </label>
      ))}
      {editable && (
        <form
          class="row"
          onSubmit={(event) => {
            event.preventDefault();
            const key = name.trim();
            if (key && !(key in attributes)) store({ ...attributes, [key]: "" });
            setName("");
          }}
        >
          <input
            type="text"
            placeholder="New attribute"
            aria-label="Name of a new attribute"
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
          <button type="submit" class="button small" disabled={!name.trim()}>
            Add
          </button>
        </form>
      )}
    </div>
  );
}
