import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import * as actions from "./actions";
import { keyLabel } from "./commands";
import { useEditor, useShared } from "./context";
import { Modal } from "./Dialogs";
import { matching } from "./finding";
import { hotkeyOf } from "./keys";

interface Entry {
  readonly id: string;
  /** What is looked through. */
  readonly text: string;
  readonly row: ComponentChildren;
  readonly key: string;
  readonly run: () => void;
}

interface PaletteProps {
  readonly title: string;
  readonly label: string;
  readonly placeholder: string;
  /** Said where nothing has the name. */
  readonly nothing: string;
  readonly entries: readonly Entry[];
}

/** Finds one of many by a part of its name, and runs it. */
function Palette({ title, label, placeholder, nothing, entries }: PaletteProps) {
  const editor = useEditor();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const found = matching(entries, text);
  const run = (index: number) => {
    const entry = found[index];
    if (!entry) return;
    editor.dialog.value = null;
    entry.run();
  };
  return (
    <Modal title={title} class="palette">
      <input
        type="text"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found[at] ? `palette-${at}` : ""}
        aria-label={label}
        placeholder={placeholder}
        value={text}
        autofocus
        onInput={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={(event) => {
          const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
          if (by && found.length) setAt((at + by + found.length) % found.length);
          else if (event.key === "Enter") run(at);
          else return;
          event.preventDefault();
        }}
      />
      <div id="palette-list" class="palette-list" role="listbox" aria-label={title}>
        {found.map((entry, index) => (
          <button
            type="button"
            tabIndex={-1}
            key={entry.id}
            id={`palette-${index}`}
            role="option"
            aria-selected={index === at}
            class={index === at ? "current" : ""}
            ref={(row) => {
              if (index === at) row?.scrollIntoView({ block: "nearest" });
            }}
            onPointerMove={() => setAt(index)}
            onClick={() => run(index)}
          >
            {entry.row}
            <span class="grow" />
            {entry.key && <kbd>{entry.key}</kbd>}
          </button>
        ))}
        {found.length === 0 && <p class="empty-note">{nothing}</p>}
      </div>
    </Modal>
  );
}

export function CommandPalette() {
  const { commands } = useShared();
  const entries = commands
    .filter(({ enabled }) => enabled?.() ?? true)
    .map((command) => ({
      id: command.id,
      text: `${command.group} ${command.title}`,
      row: (
        <>
          <span class="facts">{command.group}</span> {command.title}
        </>
      ),
      key: command.keys[0] ? keyLabel(command.keys[0]) : "",
      run: command.run,
    }));
  return (
    <Palette
      title="Find a command"
      label="Name of a command"
      placeholder="Brush, zoom, submit …"
      nothing="No command has this name."
      entries={entries}
    />
  );
}

/** Picks the category, as a click on it does. */
export function CategoryPalette() {
  const editor = useEditor();
  const entries = editor.usableCategories.value.map((category, index) => ({
    id: String(category.id),
    text: category.name,
    row: (
      <>
        <span class="swatch" style={{ background: category.color }} /> {category.name}
      </>
    ),
    key: hotkeyOf(category.hotkey, index).toUpperCase(),
    run: () => actions.pickCategory(editor, category.id),
  }));
  return (
    <Palette
      title="Find a category"
      label="Name of a category"
      placeholder="Part of a name"
      nothing="No category has this name."
      entries={entries}
    />
  );
}
