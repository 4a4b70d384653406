import type { ReadonlySignal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { unlabeledPixels } from "../core/ops/regions";
import * as actions from "./actions";
import { useEditor, useKey } from "./context";
import { CommandButton } from "./TopBar";

/** Milliseconds. */
const SELDOM = 100;

/** The value of a signal, ten times a second: its layout would cost more than a stroke does. */
function useSeldom<T>(source: ReadonlySignal<T>): T {
  const [value, setValue] = useState(source.peek());
  useEffect(() => {
    let timer = 0;
    const end = source.subscribe(() => {
      timer ||= window.setTimeout(() => {
        timer = 0;
        setValue(source.peek());
      }, SELDOM);
    });
    return () => {
      end();
      clearTimeout(timer);
    };
  }, [source]);
  return value;
}

/** Where the pointer is, what is under it, and the zoom. */
export function StatusBar() {
  const editor = useEditor();
  const size = editor.workspace.value?.image;
  return (
    <div class="statusbar">
      {size && (
        <span>
          {size.width} × {size.height}
        </span>
      )}
      <UnderPointer />
      <Unlabeled />
      <Steps />
      {size?.reason && (
        <span class="clip" title={size.reason}>
          {size.reason}
        </span>
      )}
      <span class="grow" />
      <span class="decoder" data-decoder={editor.engine.state.value}>
        {editor.engine.state.value === "preparing" && "Preparing the model…"}
      </span>
      <CommandButton id="view.out" />
      <Zoom />
      <CommandButton id="view.in" />
      <CommandButton id="view.fit" />
    </div>
  );
}

/** How far undo goes back, and what that holds in memory. */
function Steps() {
  const editor = useEditor();
  editor.changes.value;
  const history = editor.document.value?.history;
  if (!history || history.steps + history.dropped === 0) return null;
  const size = bytesLabel(history.bytes);
  const oldest = `The oldest ${history.dropped} can no longer be undone: their memory was needed.`;
  return (
    <span class="steps clip" title={history.dropped > 0 ? oldest : "Kept for undo in this tab"}>
      {history.steps} {history.steps === 1 ? "step" : "steps"}, {size}
      {history.dropped > 0 && `, oldest ${history.dropped} dropped`}
    </span>
  );
}

/** "3 kB", "1.2 MB". */
function bytesLabel(bytes: number): string {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1000)} kB`;
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

/** Drawn again with every move, so it is small. */
function UnderPointer() {
  const editor = useEditor();
  const point = useSeldom(editor.pointer);
  const region = point ? editor.regionAt(point) : null;
  const category = editor.categories.value.find(({ id }) => id === region?.categoryId);
  return (
    <>
      <span class="coordinates">
        <span class="readout">{point && `${Math.floor(point.x)}, ${Math.floor(point.y)}`}</span>
      </span>
      <span class="clip under">
        <span class="readout">{category?.name ?? ""}</span>
      </span>
    </>
  );
}

function Zoom() {
  const { scale } = useSeldom(useEditor().camera);
  return (
    <span class="zoom">
      <span class="readout">
        {scale < 0.1 ? (scale * 100).toFixed(1) : Math.round(scale * 100)} %
      </span>
    </span>
  );
}

/** How much of the picture has no category yet; a click goes to the next such place. */
function Unlabeled() {
  const editor = useEditor();
  const key = useKey("region.unlabeled");
  editor.changes.value;
  const doc = editor.document.value;
  if (!doc?.exclusive) return null;
  const share = (100 * unlabeledPixels(doc)) / (doc.size.width * doc.size.height);
  const words = share === 0 ? "0" : share < 0.1 ? "< 0.1" : share.toFixed(1);
  return (
    <button
      type="button"
      class="link"
      data-tip={`Go to the next unlabeled area  ${key}`}
      onClick={() => actions.showUnlabeled(editor)}
    >
      {words} % unlabeled
    </button>
  );
}
