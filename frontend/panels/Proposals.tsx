import { useEffect, useRef } from "preact/hooks";
import * as actions from "./actions";
import { useEditor, useKey } from "./context";
import { Section, Slider } from "./controls";
import { IconButton } from "./icons";

/** Rows shown at most; the slider and "next" reach the others. */
const LIMIT = 60;

/** What models propose and nobody has decided on, best first. */
export function Proposals() {
  const accept = useKey("proposal.accept");
  const dismiss = useKey("proposal.dismiss");
  const next = useKey("proposal.next");
  const toggle = useKey("proposal.toggle");
  const editor = useEditor();
  const doc = editor.document.value;
  const state = editor.viewState.value;
  const active = editor.activeProposal.value;
  const current = useRef<HTMLLIElement>(null);
  useEffect(() => current.current?.scrollIntoView({ block: "nearest" }), [active]);
  if (!doc || doc.proposals.length === 0 || !editor.editable.value) return null;
  const shown = actions.proposalsShown(editor);
  if (!doc.proposals.some(({ id }) => doc.proposalState(id) === "open")) {
    return (
      <Section title="Proposals" class="proposals" count={0}>
        <p class="empty-note">All of them are decided.</p>
      </Section>
    );
  }
  const categories = new Map(editor.categories.value.map((one) => [one.id, one]));
  return (
    <Section
      title="Proposals"
      class="proposals"
      count={shown.length}
      tools={
        <IconButton
          icon={state.showProposals ? "eye" : "eyeOff"}
          label={state.showProposals ? "Hide proposals" : "Show proposals"}
          keys={toggle}
          pressed={!state.showProposals}
          onClick={() => editor.view.set({ showProposals: !state.showProposals })}
        />
      }
    >
      <Slider
        label="Score at least"
        min={0}
        max={1}
        step={0.01}
        value={state.minScore}
        onInput={(minScore) => editor.view.set({ minScore })}
      />
      <div class="row wrap">
        <button
          type="button"
          class="button small"
          disabled={shown.length === 0}
          data-tip={next}
          onClick={() => actions.stepProposal(editor, 1)}
        >
          Next
        </button>
        <button
          type="button"
          class="button small"
          disabled={shown.length === 0}
          onClick={() => actions.acceptAll(editor)}
        >
          Accept all {shown.length || ""}
        </button>
        <button
          type="button"
          class="button small"
          disabled={shown.length === 0}
          onClick={() => actions.dismissAll(editor)}
        >
          Dismiss all
        </button>
      </div>
      {shown.length === 0 && <p class="empty-note">Those that are left score less.</p>}
      <ul class="rows">
        {shown.slice(0, LIMIT).map((one) => {
          const category = categories.get(one.categoryId ?? 0);
          const name = `${category?.name ?? "Object"} ${Math.round(one.score * 100)} %`;
          return (
            <li
              key={one.id}
              ref={one.id === active ? current : null}
              class={`item ${one.id === active ? "current" : ""}`}
            >
              <button
                type="button"
                class="item-main"
                aria-pressed={one.id === active}
                title={one.model}
                onClick={() => actions.focusProposal(editor, one)}
              >
                <span class="swatch dashed" style={{ borderColor: category?.color ?? "#a3a3a3" }} />
                <span class="clip">{category?.name ?? "Object"}</span>
                <span class="grow" />
                <span class="count">{Math.round(one.score * 100)} %</span>
              </button>
              <IconButton
                icon="check"
                label={`Accept ${name}`}
                keys={one.id === active ? accept : ""}
                onClick={() => actions.acceptProposal(editor, one.id)}
              />
              <IconButton
                icon="close"
                label={`Dismiss ${name}`}
                keys={one.id === active ? dismiss : ""}
                onClick={() => actions.dismissProposal(editor, one.id)}
              />
            </li>
          );
        })}
      </ul>
      {shown.length > LIMIT && <p class="empty-note">and {shown.length - LIMIT} more</p>}
    </Section>
  );
}
