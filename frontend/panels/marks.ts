import type { Mark } from "../canvas/marks";
import type { Document } from "../core/document";
import type { Proposal } from "../core/types";
import type { Editor } from "./editor";

/** Proposals that wait for a decision and are shown: of a high enough score, best first. */
export function openProposals(editor: Editor): readonly Proposal[] {
  const doc = editor.document.peek();
  if (!doc) return [];
  const { minScore } = editor.view.state;
  return doc.proposals.filter(
    ({ id, score }) => score >= minScore && doc.proposalState(id) === "open",
  );
}

/** So many padlocks tell enough. */
const MAX_LOCKS = 300;

/** A padlock in the middle of each locked region. */
function locks({ view }: Editor, doc: Document): Mark[] {
  const { lockedCategories, lockedRegions } = view.state;
  if (lockedCategories.size + lockedRegions.size === 0) return [];
  return doc.regions
    .filter((region) => view.isLocked(region) && view.isVisible(region))
    .slice(0, MAX_LOCKS)
    .map(({ bbox: { x, y, width, height } }) => ({
      kind: "lock",
      x: x + width / 2,
      y: y + height / 2,
    }));
}

/** Proposals, locks and comments over the picture. */
export function stillMarks(editor: Editor): readonly Mark[] {
  const doc = editor.document.peek();
  if (!doc) return [];
  const active = editor.activeProposal.peek();
  const colors = new Map(editor.categories.peek().map(({ id, color }) => [id, color]));
  const shown = editor.view.state.showProposals && editor.editable.peek();
  const proposals = (shown ? openProposals(editor) : []).map(
    (one): Mark => ({
      kind: "proposal",
      geometry: one.geometry,
      bbox: one.bbox,
      size: doc.size,
      color: colors.get(one.categoryId ?? 0) ?? "#a3a3a3",
      active: one.id === active,
    }),
  );
  const pins = editor.comments.peek().flatMap((comment, index): Mark[] => {
    const { x, y, resolved } = comment;
    return x === null || y === null
      ? []
      : [{ kind: "pin", x, y, resolved, label: String(index + 1) }];
  });
  return [...proposals.reverse(), ...locks(editor, doc), ...pins];
}
