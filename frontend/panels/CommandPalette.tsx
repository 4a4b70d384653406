import { useState } from "preact/hooks";
import { keyLabel } from "./commands";
import { useEditor, useShared } from "./context";
import { Modal } from "./Dialogs";

/** Finds a command by its name and runs it. */
export function CommandPalette() {
  const editor = useEditor();
  const { commands } = useShared();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = commands.filter((command) => {
    const title = `${command.group} ${command.title}`.toLowerCase();
    return (command.enabled?.() ?? true) && words.every((word) => title.includes(word));
  });
  const run = (index: number) => {
    const command = found[index];
    if (!command) return;
    editor.dialog.value = null;
    command.run();
  };
  return (
    <Modal title="Find a command" class="palette">
      <input
        type="text"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found[at] ? `palette-${at}` : ""}
        aria-label="Name of a command"
        placeholder="Brush, zoom, submit …"
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
      <div id="palette-list" class="palette-list" role="listbox" aria-label="Commands">
        {found.map((command, index) => (
          <button
            type="button"
            tabIndex={-1}
            key={command.id}
            id={`palette-${index}`}
            role="option"
            aria-selected={index === at}
            class={index === at ? "current" : ""}
            onPointerEnter={() => setAt(index)}
            onClick={() => run(index)}
          >
            <span class="facts">{command.group}</span> {command.title}
            <span class="grow" />
            {command.keys[0] && <kbd>{keyLabel(command.keys[0])}</kbd>}
          </button>
        ))}
        {found.length === 0 && <p class="empty-note">No command has this name.</p>}
      </div>
    </Modal>
  );
}
