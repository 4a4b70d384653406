import { useState } from "preact/hooks";
import { type Command, type Group, keyLabel } from "./commands";
import { useShared } from "./context";
import { Modal } from "./Dialogs";
import { assigned, holders, refusal, restored } from "./keymap";
import { hotkeyOf, keysOf } from "./keys";

const POINTER_KEYS: readonly (readonly [string, string])[] = [
  ["Move the picture", "Space + drag, middle button, two fingers"],
  ["Zoom at the pointer", "Wheel, pinch"],
  ["Pick a category", "Its key, or 1 – 9"],
  ["The alternative of a tool", "Alt or right button"],
];

const GROUPS: readonly Group[] = ["Tools", "Edit", "Regions", "Proposals", "View", "Image", "Help"];

/** Every key as it is now; while they are changed, every command. */
export function KeysDialog() {
  const { commands } = useShared();
  const [changing, setChanging] = useState(false);
  return (
    <Modal title="Keyboard shortcuts" class="wide keys">
      <div class="row apart key-head">
        {changing ? <ChangeBar /> : <span class="facts">As they are for you now.</span>}
        <button type="button" class="button small" onClick={() => setChanging(!changing)}>
          {changing ? "Done" : "Change keys"}
        </button>
      </div>
      <div class="key-groups">
        {!changing && (
          <section>
            <h3>Pointer</h3>
            <dl>
              {POINTER_KEYS.map(([title, keys]) => (
                <div key={title}>
                  <dt>{title}</dt>
                  <dd>{keys}</dd>
                </div>
              ))}
            </dl>
          </section>
        )}
        {GROUPS.map((group) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {commands
                .filter((one) => one.group === group && (changing || one.keys.length > 0))
                .map((command) => (
                  <div key={command.id}>
                    <dt>{command.title}</dt>
                    <dd>
                      {changing ? (
                        <Changer command={command} />
                      ) : (
                        command.keys.map((keys) => <kbd key={keys}>{keyLabel(keys)}</kbd>)
                      )}
                    </dd>
                  </div>
                ))}
            </dl>
          </section>
        ))}
      </div>
    </Modal>
  );
}

function ChangeBar() {
  const { editor } = useShared();
  const changed = Object.keys(editor.personal.value.keys).length;
  return (
    <>
      <span class="facts">Choose a command, then press its new key.</span>
      <span class="grow" />
      <button
        type="button"
        class="button small"
        disabled={changed === 0}
        onClick={() => void editor.personal.set({ keys: {} })}
      >
        Reset all
      </button>
    </>
  );
}

/** The keys of a command as a button that waits for another one. */
function Changer({ command }: { command: Command }) {
  const { editor, usual } = useShared();
  const [waiting, setWaiting] = useState(false);
  const [problem, setProblem] = useState("");
  /** A key that other commands have. */
  const [wanted, setWanted] = useState("");
  const { keys: keymap } = editor.personal.value;
  const end = () => {
    setWaiting(false);
    setProblem("");
    setWanted("");
  };
  const assign = (keys: string) => {
    end();
    void editor.personal.set({ keys: assigned(usual, keymap, command.id, keys) });
  };
  const press = (event: KeyboardEvent) => {
    if (!waiting) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Escape") return end();
    if (["Control", "Shift", "Alt", "Meta"].includes(event.key)) return;
    const keys = keysOf(event);
    const categories = editor.usableCategories.value.map(({ name, hotkey }, index) => ({
      name,
      key: hotkeyOf(hotkey, index),
    }));
    const reason = refusal(keys, categories);
    const others = holders(usual, keymap, command.id, keys);
    setProblem(reason || (others[0] ? `${keyLabel(keys)} is “${others[0].title}”.` : ""));
    setWanted(reason ? "" : keys);
    if (!reason && others.length === 0) assign(keys);
  };
  const label = command.keys.map(keyLabel).join("  ") || "None";
  return (
    <span class="changer">
      {problem && (
        <span class="problem" role="alert">
          {problem}
        </span>
      )}
      {problem && wanted && (
        <button type="button" class="button small danger" onClick={() => assign(wanted)}>
          Take it
        </button>
      )}
      <button
        type="button"
        class={`button small key ${waiting ? "primary" : ""}`}
        aria-label={`Key of ${command.title}: ${waiting ? "press one" : label}`}
        onClick={() => (waiting ? end() : setWaiting(true))}
        onKeyDown={press}
      >
        {waiting ? "Press a key…" : label}
      </button>
      {command.id in keymap && (
        <button
          type="button"
          class="button ghost small"
          aria-label={`Reset the key of ${command.title}`}
          onClick={() => void editor.personal.set({ keys: restored(usual, keymap, command.id) })}
        >
          Reset
        </button>
      )}
    </span>
  );
}
