import { useEffect, useRef } from "preact/hooks";
import type { Step } from "../core/timeline";
import { useEditor, useKey } from "./context";
import { Section } from "./controls";
import { timeOf } from "./timeline";

const VERDICTS = { approve: "approved it", send_back: "sent it back", reopen: "reopened it" };

/** Who saved what and when: an older state is looked at, compared with now, and restored. */
export function History() {
  const { workspace } = useEditor();
  if (!workspace.value) return null;
  return (
    <Section title="History" class="history">
      <Steps />
    </Section>
  );
}

/** Mounted only while the section is open, so that a folded one asks for nothing. */
function Steps() {
  const { timeline, saving, viewState, workspace } = useEditor();
  const list = useRef<HTMLOListElement>(null);
  const { annotation } = timeline;
  const { selection } = viewState.value;
  const region = timeline.region.value;
  const revision = saving.state.value?.revision ?? workspace.value?.annotation?.revision;
  useEffect(() => void timeline.load(), [timeline, annotation, region, revision]);

  const [one] = selection.length === 1 ? selection : [null];
  const shown = one ?? region ?? null;
  useEffect(() => {
    if (region !== null && one) timeline.region.value = one;
  }, [timeline, region, one]);
  const steps = timeline.steps.value;
  const looking = timeline.looking.value;
  const move = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const rows = [...(list.current?.querySelectorAll<HTMLElement>("button") ?? [])];
    const at = rows.indexOf(document.activeElement as HTMLElement);
    if (!by || at < 0) return;
    rows[at + by]?.focus();
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <>
      <fieldset class="segments" aria-label="Of what">
        <button
          type="button"
          class="segment"
          aria-pressed={region === null}
          onClick={() => {
            timeline.region.value = null;
          }}
        >
          Image
        </button>
        <button
          type="button"
          class="segment"
          aria-pressed={region !== null}
          disabled={shown === null}
          onClick={() => {
            timeline.region.value = shown;
          }}
        >
          Selected region
        </button>
      </fieldset>
      {steps.length === 0 && (
        <p class="empty-note" role="status">
          {timeline.loading.value
            ? "Asking what was saved…"
            : "Nothing is saved yet. Every change will stand here, with who made it and how."}
        </p>
      )}
      <ol class="rows steps" ref={list} onKeyDown={move} aria-label="Steps, the newest first">
        {entries(steps, workspace.value?.annotation?.reviews ?? []).map((entry) =>
          "verdict" in entry ? (
            <li key={`verdict ${entry.at}`} class="step-verdict facts">
              {entry.reviewer} {VERDICTS[entry.verdict]}, {timeOf(entry.at)}
            </li>
          ) : (
            <li key={entry.id}>
              <button
                type="button"
                class="step"
                aria-pressed={looking?.step.id === entry.id}
                onClick={() => void timeline.show(entry)}
              >
                <span>
                  <strong>{entry.author}</strong> {wordsOf(entry)}
                </span>
                <span class="facts">
                  {entry.id === steps[0]?.id && region === null ? "Now · " : ""}
                  {[timeOf(entry.at), ...entry.sources.filter(Boolean)].join(" · ")}
                </span>
              </button>
            </li>
          ),
        )}
      </ol>
      {timeline.hasMore.value && (
        <button
          type="button"
          class="button small"
          disabled={timeline.loading.value}
          onClick={() => void timeline.load(true)}
        >
          Older
        </button>
      )}
    </>
  );
}

/** Over the picture while it shows an older state: what that is, and what can be done with it. */
export function LookingBack() {
  const { timeline, editable, categories, document } = useEditor();
  const [image, one] = [useKey("history.restore"), useKey("history.restoreRegion")];
  const look = timeline.looking.value;
  if (!look) return null;
  const region = timeline.restorable;
  const then =
    look.regions.find(({ uuid }) => uuid === region) ?? document.value?.region(region ?? "");
  const name = categories.value.find(({ id }) => id === then?.categoryId)?.name;
  return (
    <div class="looking-back" role="status">
      <span>
        As of {timeOf(look.step.at)}, after {look.step.author}’s change
      </span>
      {editable.value ? (
        <>
          <button
            type="button"
            class="button small primary"
            data-tip={image}
            onClick={() => timeline.restoreImage()}
          >
            Restore the image
          </button>
          {region && (
            <button
              type="button"
              class="button small"
              data-tip={one}
              onClick={() => timeline.restoreRegion(region)}
            >
              Restore only {name ?? "the region"}
            </button>
          )}
        </>
      ) : (
        <span class="facts">Read only: whoever may edit it can restore this.</span>
      )}
      <button type="button" class="button small" data-tip="Esc" onClick={() => timeline.end()}>
        Back to now
      </button>
    </div>
  );
}

interface Verdict {
  readonly verdict: keyof typeof VERDICTS;
  readonly reviewer: string;
  readonly at: string;
}

/** Steps and verdicts, the newest first; no verdicts from before the oldest step that is known. */
function entries(steps: readonly Step[], verdicts: readonly Verdict[]): (Step | Verdict)[] {
  const oldest = steps.at(-1)?.at ?? "";
  const known = verdicts.filter(({ at }) => at >= oldest);
  return [...steps, ...known].sort((a, b) => (a.at < b.at ? 1 : -1));
}

function wordsOf({ made, changed, deleted }: Step): string {
  const words = [
    made && `drew ${made}`,
    changed && `changed ${changed}`,
    deleted && `deleted ${deleted}`,
  ];
  return words.filter(Boolean).join(", ");
}
