import type { ComponentProps } from "preact";
import { useState } from "preact/hooks";
import { missing } from "../core/attributes";
import type { Attribute, Region, Values } from "../core/types";
import { useEditor } from "./context";
import type { Editor } from "./editor";
import { IconButton } from "./icons";

/** What the selected regions carry: those of their category, and those that only they have. */
export function Attributes({ regions }: { regions: readonly Region[] }) {
  const editor = useEditor();
  const editable = editor.editable.value;
  const first = regions[0];
  if (!first || regions.some(({ categoryId }) => categoryId !== first.categoryId)) return null;
  const declared = editor.document.value?.attributesOf(first.categoryId) ?? [];
  const names = new Set(declared.map(({ name }) => name));
  const store = (name: string, value: unknown) =>
    editor.edit(`Change ${name}`, (gesture) => {
      for (const { uuid, attributes } of regions) {
        const { [name]: _, ...rest } = attributes;
        const next = value === undefined ? rest : { ...attributes, [name]: value };
        gesture.update(uuid, { attributes: next });
      }
    });
  const free = Object.entries(first.attributes).filter(([name]) => !names.has(name));
  return (
    <div class="attributes">
      {declared.map((attribute) => {
        const values = regions.map(({ attributes }) => attributes[attribute.name]);
        return (
          <TypedField
            key={attribute.name}
            attribute={attribute}
            value={values[0]}
            several={values.some((value) => value !== values[0])}
            lacking={regions.some((one) => missing([attribute], one.attributes).length > 0)}
            disabled={!editable}
            store={(value) => store(attribute.name, value)}
          />
        );
      })}
      {regions.length === 1 &&
        free.map(([name, value]) => (
          <div class="field-row" key={name}>
            <span class="clip">{name}</span>
            <Line
              {...backToPicture(editor)}
              aria-label={name}
              type="text"
              text={typeof value === "string" ? value : JSON.stringify(value)}
              disabled={!editable || declared.length > 0}
              store={(text) => store(name, text)}
            />
            <IconButton
              icon="close"
              label={`Remove ${name}`}
              disabled={!editable}
              onClick={() => store(name, undefined)}
            />
          </div>
        ))}
      {regions.length === 1 && editable && declared.length === 0 && (
        <NewAttribute values={first.attributes} add={(name) => store(name, "")} />
      )}
    </div>
  );
}

interface FieldProps {
  readonly attribute: Attribute;
  readonly value: unknown;
  /** The selected regions do not agree. */
  readonly several: boolean;
  /** It is required, and a region has none. */
  readonly lacking: boolean;
  readonly disabled: boolean;
  readonly store: (value: unknown) => void;
}

function TypedField(props: FieldProps) {
  const { attribute, lacking } = props;
  return (
    <div class={`field-row typed ${lacking ? "lacking" : ""}`}>
      <span class="clip" title={attribute.name}>
        {attribute.name}
        {attribute.required && <span class="required"> *</span>}
      </span>
      <Widget {...props} />
    </div>
  );
}

/** Enter and Escape lead back to the picture. */
function backToPicture(editor: Editor) {
  return {
    onKeyDown: (event: KeyboardEvent) => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      editor.stage.element.focus({ preventScroll: true });
      event.preventDefault();
    },
  };
}

function Widget(props: FieldProps) {
  const editor = useEditor();
  const { attribute, value, several, lacking, disabled, store } = props;
  const common = {
    disabled,
    "aria-label": attribute.name,
    "aria-required": attribute.required,
    "aria-invalid": lacking,
    ...backToPicture(editor),
  };
  const words = several ? "Several" : "None";
  switch (attribute.type) {
    case "checkbox":
      return (
        <input
          {...common}
          type="checkbox"
          checked={value === true && !several}
          ref={(input) => {
            if (input) input.indeterminate = several || typeof value !== "boolean";
          }}
          onChange={(event) => store(event.currentTarget.checked)}
        />
      );
    case "choice":
      return (
        <select
          {...common}
          value={several || value === undefined ? "" : String(value)}
          onChange={(event) => store(event.currentTarget.value || undefined)}
        >
          <option value="">{lacking ? "Required" : words}</option>
          {typeof value === "string" && !attribute.choices.includes(value) && (
            <option value={value}>{value} (no longer a choice)</option>
          )}
          {attribute.choices.map((choice) => (
            <option key={choice} value={choice}>
              {choice}
            </option>
          ))}
        </select>
      );
    case "number":
      return (
        <Line
          {...common}
          type="number"
          step="any"
          placeholder={lacking ? "Required" : words}
          text={!several && typeof value === "number" ? String(value) : ""}
          store={(text) => store(text === "" ? undefined : Number(text))}
        />
      );
    case "text":
      return (
        <Line
          {...common}
          type="text"
          maxLength={1000}
          placeholder={lacking ? "Required" : words}
          text={several || value === undefined ? "" : String(value)}
          store={(text) => store(text || undefined)}
        />
      );
  }
}

type LineProps = ComponentProps<"input"> & {
  readonly text: string;
  readonly store: (text: string) => void;
};

/** A field that keeps what is being typed, whatever else happens meanwhile, until it is left. */
function Line({ text, store, onKeyDown, ...attributes }: LineProps) {
  const [typed, setTyped] = useState<string | null>(null);
  return (
    <input
      {...attributes}
      value={typed ?? text}
      onInput={(event) => setTyped(event.currentTarget.value)}
      onChange={(event) => store(event.currentTarget.value)}
      onBlur={() => setTyped(null)}
      onKeyDown={(event) => {
        if (event.key === "Escape") event.currentTarget.value = text;
        onKeyDown?.(event);
      }}
    />
  );
}

function NewAttribute({ values, add }: { values: Values; add: (name: string) => void }) {
  const [name, setName] = useState("");
  return (
    <form
      class="row"
      onSubmit={(event) => {
        event.preventDefault();
        const key = name.trim();
        if (key && !(key in values)) add(key);
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
  );
}
