import { useState } from "preact/hooks";
import { api } from "../api/client";
import type { components } from "../api/schema";
import { goToNext, once } from "./actions";
import { useEditor } from "./context";
import { Modal } from "./Dialogs";

type Reason = components["schemas"]["SkipRequest"]["reason"];

const REASONS: readonly (readonly [Reason, string])[] = [
  ["unclear", "The guidelines do not say"],
  ["bad_image", "The image is bad"],
  ["too_hard", "Too hard for me"],
  ["irrelevant", "Does not belong here"],
  ["other", "Something else"],
];

/** Hands the image back for good; managers read why. */
export function SkipDialog() {
  const editor = useEditor();
  const [reason, setReason] = useState<Reason>("unclear");
  const [note, setNote] = useState("");
  const lease = editor.holding.lease.value;
  const close = () => {
    editor.dialog.value = null;
  };
  const skip = () => {
    if (!lease || (reason === "other" && !note.trim())) return;
    close();
    const name = editor.workspace.value?.image.name ?? "";
    void once(editor, name, async () => {
      await editor.saving.flush();
      await api.skip(lease.id, { reason, note });
      await goToNext(editor);
    });
  };
  return (
    <Modal title="Skip this image">
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          skip();
        }}
      >
        <p>It goes to somebody else and does not come to you again. What you drew stays saved.</p>
        <fieldset class="stack" aria-label="Why">
          {REASONS.map(([value, title]) => (
            <label key={value} class="check">
              <input
                type="radio"
                name="reason"
                checked={reason === value}
                onChange={() => setReason(value)}
              />
              {title}
            </label>
          ))}
        </fieldset>
        <label class="field">
          In your words
          <input
            type="text"
            maxLength={1000}
            required={reason === "other"}
            value={note}
            onInput={(event) => setNote(event.currentTarget.value)}
          />
        </label>
        <div class="row end">
          <button type="button" class="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="button primary">
            Skip
          </button>
        </div>
      </form>
    </Modal>
  );
}
