import type { Mark } from "../canvas/marks";
import type { Document } from "../core/document";
import type { Point, Proposal, Region } from "../core/types";
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

/** A padlock on each locked region. */
function locks({ view }: Editor, doc: Document): Mark[] {
  const { lockedCategories, lockedRegions } = view.state;
  if (lockedCategories.size + lockedRegions.size === 0) return [];
  return doc.regions
    .filter((region) => view.isLocked(region) && view.isVisible(region))
    .slice(0, MAX_LOCKS)
    .map((region) => ({ kind: "lock", ...within(doc, region) }));
}

/** Steps from the middle of a box to its border. */
const STEPS = 6;

/** A place where the region is seen, as near to the middle of its box as a coarse look finds one. */
export function within(doc: Document, { slot, bbox }: Region): Point {
  const middle = { x: bbox.x + bbox.width / 2, y: bbox.y + bbox.height / 2 };
  for (let ring = 0; ring < STEPS; ring++) {
    for (let i = -ring; i <= ring; i++) {
      for (const [u, v] of [
        [i, -ring],
        [i, ring],
        [-ring, i],
        [ring, i],
      ] as const) {
        const x = middle.x + (u * bbox.width) / (2 * STEPS);
        const y = middle.y + (v * bbox.height) / (2 * STEPS);
        if (doc.slotAt(Math.floor(x), Math.floor(y)) === slot) return { x, y };
      }
    }
  }
  return middle;
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
  const threads = editor.comments.peek().filter(({ reply_to }) => reply_to === null);
  const pins = threads.flatMap((comment, index): Mark[] => {
    const { x, y, resolved } = comment;
    return x === null || y === null
      ? []
      : [{ kind: "pin", x, y, resolved, label: String(index + 1) }];
  });
  return [...proposals.reverse(), ...locks(editor, doc), ...pins];
}
