import * as actions from "./actions";
import { Bell } from "./Bell";
import { type Command, keyLabel } from "./commands";
import { useEditor, useKey, useShared } from "./context";
import { Due } from "./Due";
import { Icon, IconButton } from "./icons";

const STATUS_WORDS: Record<string, string> = {
  new: "New",
  in_progress: "In progress",
  submitted: "Submitted",
  sent_back: "Sent back",
  approved: "Approved",
};

export function TopBar() {
  const { editor } = useShared();
  const workspace = editor.workspace.value;
  const begun = editor.saving.state.value?.annotation != null;
  const status =
    workspace?.annotation?.status ?? (begun ? "in_progress" : (workspace?.image.status ?? ""));
  return (
    <header class="topbar">
      <a
        class="button ghost small"
        href={workspace ? `/projects/${workspace.project.id}` : editor.boot.projectUrl}
      >
        <Icon name="back" />
        <span class="clip project-name">{workspace?.project.name ?? "Project"}</span>
      </a>
      <div class="image-name">
        <h1 class="clip" title={workspace?.image.name}>
          {workspace?.image.name ?? "…"}
        </h1>
        {status && <span class={`badge status-${status}`}>{STATUS_WORDS[status] ?? status}</span>}
      </div>
      <nav class="row" aria-label="Images">
        <CommandButton id="image.previous" />
        <span class="position">
          {workspace ? `${workspace.position} / ${workspace.total}` : "– / –"}
        </span>
        <CommandButton id="image.next" />
      </nav>
      <Due />
      <SaveState />
      <span class="grow" />
      <div class="row">
        <CommandButton id="edit.undo" />
        <CommandButton id="edit.redo" />
      </div>
      <div class="row">
        <CommandButton id="help.guidelines" />
        <CommandButton id="help.palette" />
        <CommandButton id="help.keys" />
        <Bell />
      </div>
      <MainAction />
    </header>
  );
}

/** An icon button of a command; grey while the command cannot run. */
export function CommandButton({ id }: { id: string }) {
  const { commands, editor } = useShared();
  editor.changes.value;
  editor.viewState.value;
  const command = commands.find((one) => one.id === id) as Command;
  return (
    <IconButton
      icon={command.icon ?? "command"}
      label={command.title}
      keys={command.keys[0] ? keyLabel(command.keys[0]) : ""}
      disabled={!(command.enabled?.() ?? true)}
      onClick={() => command.run()}
    />
  );
}

function MainAction() {
  const editor = useEditor();
  const approve = useKey("image.approve");
  const submit = useKey("image.submit");
  const { annotation } = editor.workspace.value ?? {};
  const busy = editor.busy.value;
  if (actions.reviewable(editor)) {
    return (
      <div class="row">
        <button
          type="button"
          class="button"
          disabled={busy}
          onClick={() => {
            editor.dialog.value = "send-back";
          }}
        >
          Send back…
        </button>
        <button
          type="button"
          class="button primary"
          disabled={busy}
          data-tip={approve}
          onClick={() => void actions.review(editor, "approve", "")}
        >
          <Icon name="check" />
          Approve
        </button>
      </div>
    );
  }
  if (!editor.editable.value || !editor.document.value) return null;
  return (
    <button
      type="button"
      class="button primary"
      disabled={busy}
      data-tip={`Submit and go to the next image  ${submit}`}
      onClick={() => void actions.submit(editor)}
    >
      <Icon name="submit" />
      {annotation?.status === "sent_back" ? "Submit again" : "Submit"}
    </button>
  );
}

/** Where the work is: on the server, on its way, or only here. */
function SaveState() {
  const editor = useEditor();
  const state = editor.saving.state.value;
  if (!state || !editor.document.value) return <span class="save-state" />;
  const many = `${state.pending} ${state.pending === 1 ? "change" : "changes"}`;
  const kept = state.stored ? "kept here" : "in this tab only: keep it open";
  switch (state.status) {
    case "saved":
      return (
        <span class="save-state saved" role="status">
          <Icon name="cloud" /> {editor.editable.value ? "Saved" : "Read only"}
        </span>
      );
    case "saving":
      return (
        <span class="save-state" role="status">
          <Icon name="cloud" /> Saving…
        </span>
      );
    case "offline":
      return (
        <span class="save-state warning" role="status">
          <Icon name="cloudOff" /> Offline: {many} {kept}
        </span>
      );
    case "login-expired":
      return (
        <button
          type="button"
          class="save-state button small warning"
          onClick={() => {
            editor.dialog.value = "login";
          }}
        >
          <Icon name="lock" /> Log in again: {many} {kept}
        </button>
      );
    case "conflict":
      return (
        <button
          type="button"
          class="save-state button small danger"
          onClick={() => {
            editor.dialog.value = "conflict";
          }}
        >
          <Icon name="warning" /> Changed elsewhere: choose
        </button>
      );
    case "error":
      return (
        <span
          class="save-state danger"
          role="alert"
          title={state.problems.map((one) => one.detail).join("\n")}
        >
          <Icon name="warning" /> Not saved: {state.problems[0]?.detail ?? many}
        </span>
      );
  }
}
