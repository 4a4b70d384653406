import { useEffect, useRef, useState } from "preact/hooks";
import { missing } from "../core/attributes";
import type { Region } from "../core/types";
import * as actions from "./actions";
import { useEditor } from "./context";
import { Section } from "./controls";
import { IconButton } from "./icons";
import { CommandButton } from "./TopBar";

/** Height of a row in CSS pixels; `editor.css` has the same. */
const ROW = 30;
const MARGIN_ROWS = 6;

/** Every region, front to back. Only the rows on the screen exist. */
export function Regions() {
  const editor = useEditor();
  const [top, setTop] = useState(0);
  const [list, setList] = useState<HTMLDivElement | null>(null);
  const height = useHeight(list);
  editor.changes.value;
  const state = editor.viewState.value;
  const doc = editor.document.value;
  const regions = doc ? [...doc.regions].reverse() : [];
  const first = Math.max(0, Math.floor(top / ROW) - MARGIN_ROWS);
  const shown = regions.slice(first, first + Math.ceil(height / ROW) + 2 * MARGIN_ROWS);
  const selected = new Set(state.selection);
  const last = useRef<string | null>(null);
  // What was selected in the picture is looked for in the list, and the other way round.
  const sought = state.selection[0];
  useEffect(() => {
    const at = regions.findIndex(({ uuid }) => uuid === sought);
    if (list && at >= 0) showRow(list, at);
    setTop(list?.scrollTop ?? 0);
  }, [sought, list]);

  const choose = (region: Region, event: MouseEvent) => {
    if (event.shiftKey && last.current) {
      const from = regions.findIndex(({ uuid }) => uuid === last.current);
      const to = regions.indexOf(region);
      const range = regions.slice(Math.min(from, to), Math.max(from, to) + 1);
      editor.view.select(...range.map(({ uuid }) => uuid));
      return;
    }
    last.current = region.uuid;
    if (event.ctrlKey || event.metaKey) editor.view.toggle(region.uuid);
    else editor.view.select(region.uuid);
    if (!(event.ctrlKey || event.metaKey)) actions.reveal(editor, region.bbox);
  };

  return (
    <Section
      title="Regions"
      class="regions"
      count={regions.length}
      tools={
        <div class="row">
          {doc && !doc.exclusive && (
            <>
              <CommandButton id="edit.front" />
              <CommandButton id="edit.back" />
            </>
          )}
          <CommandButton id="edit.delete" />
        </div>
      }
    >
      {regions.length === 0 && doc && (
        <p class="empty-note">Nothing is labeled yet. Draw, or accept a proposal.</p>
      )}
      <div
        class="virtual"
        ref={setList}
        onScroll={(event) => setTop(event.currentTarget.scrollTop)}
      >
        <ul
          class="virtual-all"
          aria-label="Regions, front to back"
          style={{ height: `${regions.length * ROW}px` }}
        >
          {shown.map((region, index) => (
            <RegionRow
              key={region.uuid}
              region={region}
              at={first + index}
              number={regions.length - first - index}
              selected={selected.has(region.uuid)}
              choose={choose}
            />
          ))}
        </ul>
      </div>
    </Section>
  );
}

/** Height of an element in CSS pixels, whatever makes room around it or takes it. */
function useHeight(element: HTMLElement | null): number {
  const [height, setHeight] = useState(300);
  useEffect(() => {
    const seen = new ResizeObserver(([entry]) => setHeight(entry?.contentRect.height ?? 0));
    if (element) seen.observe(element);
    return () => seen.disconnect();
  }, [element]);
  return height;
}

/** Scrolls no more than needed: a row that is there stays where it is. */
function showRow(list: HTMLElement, at: number): void {
  const least = (at + 1) * ROW - list.clientHeight;
  list.scrollTop = Math.max(least, Math.min(list.scrollTop, at * ROW));
}

interface RowProps {
  readonly region: Region;
  readonly at: number;
  readonly number: number;
  readonly selected: boolean;
  readonly choose: (region: Region, event: MouseEvent) => void;
}

function RegionRow({ region, at, number, selected, choose }: RowProps) {
  const editor = useEditor();
  const state = editor.viewState.value;
  const category = editor.categories.value.find(({ id }) => id === region.categoryId);
  const lacking = missing(category?.attributes ?? [], region.attributes);
  const lacks = `Lacks ${lacking.map((one) => one.name).join(", ")}`;
  const single = editor.document.value?.isSingle(region.categoryId);
  const name = single ? (category?.name ?? "?") : `${category?.name ?? "?"} ${number}`;
  const hidden = !editor.view.isVisible(region);
  const locked = state.lockedRegions.has(region.uuid);
  const color = editor.painter.colorOf(region, editor.view);
  return (
    <li
      class={`item virtual-row ${selected ? "current" : ""} ${hidden ? "dim" : ""}`}
      style={{ top: `${at * ROW}px` }}
      aria-posinset={at + 1}
      onMouseEnter={() => editor.highlight(region.uuid)}
      onMouseLeave={() => editor.highlight(null)}
    >
      <button
        type="button"
        class="item-main"
        aria-pressed={selected}
        onClick={(event) => choose(region, event)}
      >
        <span class="swatch" style={{ background: `rgb(${color.join(" ")})` }} />
        <span class="clip">{name}</span>
        {lacking.length > 0 && (
          <span class="lacks" role="img" aria-label={lacks} title={lacks}>
            !
          </span>
        )}
        {region.isCrowd && <span class="badge">crowd</span>}
        <span class="grow" />
        <span class="count">{areaLabel(region.area)}</span>
      </button>
      <IconButton
        icon={hidden ? "eyeOff" : "eye"}
        label={`${hidden ? "Show" : "Hide"} ${name}`}
        pressed={hidden}
        onClick={() => actions.toggleHidden(editor, [region.uuid])}
      />
      <IconButton
        icon={locked ? "lock" : "unlock"}
        label={`${locked ? "Unlock" : "Lock"} ${name}`}
        pressed={locked}
        onClick={() =>
          editor.view.set({ lockedRegions: actions.toggled(state.lockedRegions, region.uuid) })
        }
      />
      <IconButton
        icon="trash"
        label={`Delete ${name}`}
        disabled={!editor.editable.value}
        onClick={() => actions.deleteRegions(editor, [region.uuid])}
      />
    </li>
  );
}

/** "812 px", "12.4 k px", "1.2 M px". */
export function areaLabel(area: number): string {
  if (area < 10_000) return `${Math.round(area)} px`;
  if (area < 1e6) return `${(area / 1000).toFixed(1)} k px`;
  return `${(area / 1e6).toFixed(1)} M px`;
}
