import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { api } from "../api/client";
import type { StoredRegion } from "../core/types";
import * as actions from "./actions";
import { useEditor } from "./context";
import { toastError } from "./toasts";

export interface ModalProps {
  readonly title: string;
  readonly class?: string;
  readonly children: ComponentChildren;
}

/** A dialog over the page; Escape and a click beside it close it. */
export function Modal({ title, class: className, children }: ModalProps) {
  const editor = useEditor();
  const id = useId();
  const element = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    element.current?.showModal();
  }, []);
  const close = () => {
    editor.dialog.value = null;
  };
  return (
    <dialog
      ref={element}
      class={`modal ${className ?? ""}`}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onPointerDown={(event) => {
        if (event.target === event.currentTarget) close();
      }}
    >
      <div class="modal-body">
        <h2 id={id}>{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

/** Logs in without leaving the page; what was not saved yet is sent afterwards. */
export function LoginDialog() {
  const editor = useEditor();
  const [problem, setProblem] = useState("");
  const log = async (form: HTMLFormElement) => {
    const data = new FormData(form);
    try {
      await api.login(String(data.get("username")), String(data.get("password")));
      const [before, now] = await Promise.all([editor.saving.owner(), api.me()]);
      if (before.id !== now.id) {
        setProblem(`This work is ${before.username}'s: log in as ${before.username}.`);
        return;
      }
      editor.dialog.value = null;
      if (editor.phase.value.state === "failed") await editor.reload();
      else editor.saving.retry();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <Modal title="Log in again">
      <p>Your session has ended. Nothing is lost: what is not saved yet waits in this browser.</p>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void log(event.currentTarget);
        }}
      >
        <label class="field">
          User name
          <input type="text" name="username" autocomplete="username" required />
        </label>
        <label class="field">
          Password
          <input type="password" name="password" autocomplete="current-password" required />
        </label>
        {problem && (
          <p class="errors" role="alert">
            {problem}
          </p>
        )}
        <div class="row end">
          <button type="submit" class="button primary">
            Log in
          </button>
        </div>
      </form>
    </Modal>
  );
}

/** One region changed in two places: both versions as pictures, and a choice. */
export function ConflictDialog() {
  const editor = useEditor();
  const state = editor.saving.state.value;
  const conflict = state?.conflicts[0];
  useEffect(() => {
    if (!conflict) editor.dialog.value = null;
  }, [conflict, editor]);
  if (!conflict) return null;
  const more = (state?.conflicts.length ?? 1) - 1;
  const choose = async (act: Promise<void>) => {
    try {
      await act;
    } catch (error) {
      toastError(error, "Conflict");
    }
  };
  return (
    <Modal title="This region was changed elsewhere" class="wide">
      <p>
        {conflict.author || "Somebody"} saved another version of it while you worked. Choose the one
        to keep; the other one stays in the region's history.
      </p>
      <div class="versions">
        <Version title="Yours" region={conflict.mine} other={conflict.theirs} />
        <Version
          title={`Theirs (${conflict.author || "saved"})`}
          region={conflict.theirs}
          other={conflict.mine}
        />
      </div>
      <div class="row end">
        {more > 0 && <span class="facts">and {more} more</span>}
        <button
          type="button"
          class="button"
          onClick={() => void choose(editor.saving.takeTheirs(conflict.region))}
        >
          Take theirs
        </button>
        <button
          type="button"
          class="button primary"
          onClick={() => void choose(editor.saving.keepMine(conflict.region))}
        >
          Keep mine
        </button>
      </div>
    </Modal>
  );
}

function Version(props: {
  title: string;
  region: StoredRegion | null;
  other: StoredRegion | null;
}) {
  const editor = useEditor();
  const canvas = useRef<HTMLCanvasElement>(null);
  const { region, other } = props;
  useEffect(() => {
    if (canvas.current) editor.drawVersion(canvas.current, region, other);
  }, [editor, region, other]);
  const category = editor.categories.value.find(({ id }) => id === region?.categoryId);
  return (
    <figure class="version">
      <figcaption>{props.title}</figcaption>
      {region ? <canvas ref={canvas} width={320} height={240} /> : <p class="deleted">Deleted</p>}
      {region && <p class="facts">{category?.name}</p>}
    </figure>
  );
}

export function SendBackDialog() {
  const editor = useEditor();
  const [text, setText] = useState("");
  return (
    <Modal title="Send back">
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (!text.trim()) return;
          editor.dialog.value = null;
          void actions.review(editor, "send_back", text.trim());
        }}
      >
        <label class="field">
          What should be changed?
          <textarea
            required
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && event.ctrlKey) event.currentTarget.form?.requestSubmit();
            }}
          />
        </label>
        <div class="row end">
          <button
            type="button"
            class="button"
            onClick={() => {
              editor.dialog.value = null;
            }}
          >
            Cancel
          </button>
          <button type="submit" class="button primary" disabled={!text.trim()}>
            Send back
          </button>
        </div>
      </form>
    </Modal>
  );
}

export function GuidelinesDialog() {
  const { project } = useEditor().workspace.value ?? {};
  return (
    <Modal title={`Guidelines of ${project?.name ?? "the project"}`} class="wide">
      <p class="guidelines">{project?.guidelines || "Nobody has written guidelines yet."}</p>
    </Modal>
  );
}
