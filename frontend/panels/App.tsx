import { computed } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { Categories } from "./Categories";
import { Compare } from "./Compare";
import { makeCommands, runKeys } from "./commands";
import { type Shared, SharedContext, useEditor } from "./context";
import { ConflictDialog, GuidelinesDialog, LoginDialog, SendBackDialog } from "./Dialogs";
import { DisplayPanel } from "./DisplayPanel";
import type { Editor } from "./editor";
import { History, LookingBack } from "./History";
import { KeysDialog } from "./KeysDialog";
import { bound } from "./keymap";
import { inField, keysOf, leaveField } from "./keys";
import { Minimap } from "./Minimap";
import { Operations } from "./Operations";
import { CategoryPalette, CommandPalette } from "./Palettes";
import { Proposals } from "./Proposals";
import { Regions } from "./Regions";
import { ReviewPanel } from "./Review";
import { Rulers } from "./Rulers";
import { Selection } from "./Selection";
import { SkipDialog } from "./SkipDialog";
import { StatusBar } from "./StatusBar";
import { ToolBar, ToolOptions } from "./Tools";
import { TopBar } from "./TopBar";
import { Toasts } from "./toasts";

function share(editor: Editor): Shared {
  const usual = makeCommands(editor);
  const commands = computed(() => bound(usual, editor.personal.value.keys));
  return {
    editor,
    usual,
    get commands() {
      return commands.value;
    },
  };
}

/** The whole page around the canvas. */
export function App({ editor }: { editor: Editor }) {
  const shared = useMemo(() => share(editor), [editor]);
  const picture = useRef<HTMLDivElement>(null);

  // Before the first paint: the graphics process is still free to make the picture's context.
  useLayoutEffect(() => {
    if (picture.current) editor.start(picture.current);
  }, [editor]);

  useEffect(() => {
    const down = (event: KeyboardEvent) => {
      if (editor.dialog.value || event.defaultPrevented) return;
      const keys = keysOf(event);
      if (inField(event)) {
        if (!["Ctrl+K", "Ctrl+S", "Ctrl+Enter"].includes(keys)) return;
        leaveField();
      }
      if (keys === "Space" && !onControl(event)) {
        editor.holdPan(true);
        event.preventDefault();
        return;
      }
      if (keys === "Enter" && onControl(event)) return;
      if (editor.keyToTool(event) || editor.pickByHotkey(event) || runKeys(shared.commands, keys)) {
        event.preventDefault();
      }
    };
    const up = (event: KeyboardEvent) => {
      if (event.key === " ") editor.holdPan(false);
    };
    const blur = () => editor.holdPan(false);
    addEventListener("keydown", down);
    addEventListener("keyup", up);
    addEventListener("blur", blur);
    return () => {
      removeEventListener("keydown", down);
      removeEventListener("keyup", up);
      removeEventListener("blur", blur);
    };
  }, [editor, shared]);

  return (
    <SharedContext.Provider value={shared}>
      <div class={`editor ${editor.personal.value.leftHanded ? "left-handed" : ""}`}>
        <TopBar />
        <ToolBar />
        <main class="work">
          <ToolOptions />
          <div class="picture" ref={picture}>
            <PhaseNotice />
            <LookingBack />
            <Rulers />
            <Minimap />
          </div>
          <StatusBar />
        </main>
        <aside class="side" aria-label="Panels">
          <ReviewPanel />
          <Compare />
          <Categories />
          <Proposals />
          <Regions />
          <Selection />
          <Operations />
          <History />
          <DisplayPanel />
        </aside>
      </div>
      <Dialogs />
      <Toasts />
    </SharedContext.Provider>
  );
}

function Dialogs() {
  const editor = useEditor();
  switch (editor.dialog.value) {
    case "login":
      return <LoginDialog />;
    case "conflict":
      return <ConflictDialog />;
    case "keys":
      return <KeysDialog />;
    case "palette":
      return <CommandPalette />;
    case "category":
      return <CategoryPalette />;
    case "send-back":
      return <SendBackDialog />;
    case "skip":
      return <SkipDialog />;
    case "guidelines":
      return <GuidelinesDialog />;
    default:
      return null;
  }
}

function PhaseNotice() {
  const editor = useEditor();
  const phase = editor.phase.value;
  if (phase.state === "failed") {
    return (
      <div class="picture-notice" role="alert">
        <h2>
          {phase.error.status === 404 ? "There is no such image" : "The image could not be opened"}
        </h2>
        <p>{phase.error.message}</p>
        {phase.error.hint && <p>{phase.error.hint}</p>}
        <div class="row">
          <button type="button" class="button primary" onClick={() => void editor.reload()}>
            Try again
          </button>
          <a class="button" href={editor.boot.projectUrl}>
            Back to the project
          </a>
        </div>
      </div>
    );
  }
  if (phase.state === "loading" && editor.showing.missing.value) {
    return (
      <div class="picture-notice loading" role="status">
        <span class="spinner" aria-hidden="true" />
        Opening the image…
      </div>
    );
  }
  return null;
}

/** Space and Enter belong to a focused button or switch. */
function onControl(event: KeyboardEvent): boolean {
  const { target } = event;
  return (
    target instanceof HTMLElement && ["BUTTON", "A", "INPUT", "SUMMARY"].includes(target.tagName)
  );
}
