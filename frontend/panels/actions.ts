import { ApiError, api } from "../api/client";
import type { Display } from "../canvas/renderer";
import { missing } from "../core/attributes";
import * as ops from "../core/ops/regions";
import { unionRect } from "../core/rect";
import type { ToolEntry } from "../core/tools/registry";
import type { Proposal, Rect, Region } from "../core/types";
import type { Editor } from "./editor";
import { openProposals } from "./marks";
import { toast, toastError } from "./toasts";

/** What a person can do to the open image; commands and panels call these. */

// --- proposals ----------------------------------------------------------------------------------

/** Proposals that the list shows and that "all" means. */
export function proposalsShown(editor: Editor): readonly Proposal[] {
  editor.changes.value;
  editor.viewState.value;
  return openProposals(editor);
}

export function focusProposal(editor: Editor, proposal: Proposal | null): void {
  editor.activeProposal.value = proposal?.id ?? null;
  if (proposal) reveal(editor, proposal.bbox);
  editor.stage.invalidateStill();
}

export function stepProposal(editor: Editor, by: 1 | -1): void {
  const shown = openProposals(editor);
  const at = shown.findIndex(({ id }) => id === editor.activeProposal.value);
  const start = at < 0 ? (by > 0 ? 0 : shown.length - 1) : at + by;
  focusProposal(editor, shown[(start + shown.length) % shown.length] ?? null);
}

/** Takes the active proposal, or the given one, with the current category if it has none. */
export function acceptProposal(editor: Editor, id = editor.activeProposal.value): void {
  decide(editor, id, "Accept proposal", (one, gesture) => {
    const category = one.categoryId ?? editor.view.state.categoryId;
    return gesture.acceptProposal(one.id, category ?? undefined)?.uuid;
  });
}

export function dismissProposal(editor: Editor, id = editor.activeProposal.value): void {
  decide(editor, id, "Dismiss proposal", (one, gesture) => {
    gesture.dismissProposal(one.id);
    return undefined;
  });
}

function decide(
  editor: Editor,
  id: number | null,
  title: string,
  act: (
    proposal: Proposal,
    gesture: Parameters<Parameters<Editor["edit"]>[1]>[0],
  ) => string | undefined,
): void {
  const shown = openProposals(editor);
  const at = shown.findIndex((one) => one.id === id);
  const proposal = shown[at];
  if (!proposal) return;
  let made: string | undefined;
  editor.edit(title, (gesture) => {
    made = act(proposal, gesture);
  });
  if (made) editor.view.select(made);
  if (editor.activeProposal.value === id) {
    const left = openProposals(editor);
    focusProposal(editor, left[Math.min(at, left.length - 1)] ?? null);
  }
}

export function acceptAll(editor: Editor): void {
  const shown = openProposals(editor);
  const fallback = editor.view.state.categoryId;
  editor.edit(`Accept ${shown.length} proposals`, (gesture) => {
    // The best one comes last, so that it is in front of the others.
    for (const one of [...shown].reverse()) {
      gesture.acceptProposal(one.id, one.categoryId ?? fallback ?? undefined);
    }
  });
  focusProposal(editor, null);
}

export function dismissAll(editor: Editor): void {
  const shown = openProposals(editor);
  editor.edit(`Dismiss ${shown.length} proposals`, (gesture) => {
    for (const one of shown) gesture.dismissProposal(one.id);
  });
  focusProposal(editor, null);
}

// --- regions ------------------------------------------------------------------------------------

export function deleteSelected(editor: Editor): void {
  deleteRegions(editor, editor.view.state.selection);
}

export function deleteRegions(editor: Editor, uuids: readonly string[]): void {
  const title = uuids.length === 1 ? "Delete region" : `Delete ${uuids.length} regions`;
  editor.edit(title, (gesture, doc) => {
    for (const uuid of uuids) if (doc.region(uuid)) gesture.remove(uuid);
  });
}

export function reorder(editor: Editor, to: "front" | "back"): void {
  const doc = editor.document.value;
  if (doc && !doc.gesture) ops.reorder(doc, editor.view.state.selection, to);
}

/** Chooses what tools make; with the select tool, what the selected regions are. */
export function pickCategory(editor: Editor, categoryId: number): void {
  const { selection } = editor.view.state;
  editor.view.set({ categoryId });
  if (editor.toolName.value === "select" && !editor.document.value?.isSingle(categoryId)) {
    setCategory(editor, selection, categoryId);
  }
}

export function setCategory(editor: Editor, uuids: readonly string[], categoryId: number): void {
  const doc = editor.document.value;
  if (uuids.length === 0 || !doc || doc.gesture || !editor.editable.value) return;
  try {
    ops.setCategory(doc, uuids, categoryId);
  } catch (error) {
    toastError(error);
  }
}

/** The next region, front to back and round again, that lacks a required attribute. */
export function nextLacking(editor: Editor): Region | null {
  const doc = editor.document.value;
  const regions = [...(doc?.regions ?? [])].reverse();
  const at = regions.findIndex(({ uuid }) => uuid === editor.view.state.selection[0]);
  const turned = [...regions.slice(at + 1), ...regions.slice(0, at + 1)];
  return (
    turned.find((one) => missing(doc!.attributesOf(one.categoryId), one.attributes).length > 0) ??
    null
  );
}

/** Leads to the attributes of the selected region; with none selected, of the next that lacks some. */
export function fillIn(editor: Editor): void {
  const doc = editor.document.value;
  const complete = editor.view.state.selection.every((uuid) => {
    const region = doc?.region(uuid);
    return region && missing(doc!.attributesOf(region.categoryId), region.attributes).length === 0;
  });
  const next = complete ? nextLacking(editor) : null;
  if (next) {
    editor.view.select(next.uuid);
    reveal(editor, next.bbox);
  } else if (editor.view.state.selection.length === 0) {
    toast("Every region has its attributes.");
  }
  // The panel shows the selection only in the next frame.
  requestAnimationFrame(() => {
    const fields = ".attributes :is(input, select):not(:disabled)";
    const lacking = document.querySelector<HTMLElement>(`${fields}[aria-invalid=true]`);
    (lacking ?? document.querySelector<HTMLElement>(fields))?.focus();
  });
}

export function toggleHidden(editor: Editor, uuids: readonly string[]): void {
  const hidden = new Set(editor.view.state.hiddenRegions);
  const show = uuids.every((uuid) => hidden.has(uuid));
  for (const uuid of uuids) {
    if (show) hidden.delete(uuid);
    else hidden.add(uuid);
  }
  editor.view.set({ hiddenRegions: hidden });
}

/** The set with `item` added, or taken out when it was in. */
export function toggled<T>(set: ReadonlySet<T>, item: T): ReadonlySet<T> {
  const other = new Set(set);
  if (!other.delete(item)) other.add(item);
  return other;
}

// --- view ---------------------------------------------------------------------------------------

export function toolUsable(editor: Editor, tool: ToolEntry): boolean {
  const kind = editor.workspace.value?.project.kind;
  return editor.editable.value && kind !== undefined && tool.kinds.includes(kind);
}

export function scaleBrush(editor: Editor, factor: number): void {
  const { brushRadius } = editor.view.state;
  const next = factor > 1 ? Math.max(brushRadius + 1, brushRadius * factor) : brushRadius * factor;
  editor.view.set({ brushRadius: Math.round(Math.min(Math.max(next, 1), 400)) });
}

export function changeOpacity(editor: Editor, by: number): void {
  const opacity = Math.min(Math.max(editor.display.value.opacity + by, 0), 1);
  editor.display.value = { ...editor.display.value, opacity: Math.round(opacity * 100) / 100 };
}

export function toggleDisplay(editor: Editor, name: "showRegions" | "outlineOnly"): void {
  const display: Display = editor.display.value;
  editor.display.value = { ...display, [name]: !display[name] };
}

export function showSelection(editor: Editor): void {
  let box: Rect | null = null;
  for (const uuid of editor.view.state.selection) {
    box = unionRect(box, editor.document.value?.region(uuid)?.bbox ?? null);
  }
  if (box) editor.stage.viewport.show(box);
}

/** Goes on from the middle of the screen, in reading order. */
export function showUnlabeled(editor: Editor): void {
  const doc = editor.document.value;
  if (!doc) return;
  const area = ops.nextUnlabeled(doc, editor.lastUnlabeled);
  editor.lastUnlabeled = area;
  if (area) editor.stage.viewport.show(area);
  else toast("Every pixel is labeled.");
}

/** Moves the view only when the box is not on the screen or too small to see. */
export function reveal(editor: Editor, box: Rect): void {
  const { viewport } = editor.stage;
  const seen = viewport.visible();
  const inside =
    box.x >= seen.x &&
    box.y >= seen.y &&
    box.x + box.width <= seen.x + seen.width &&
    box.y + box.height <= seen.y + seen.height;
  const large = Math.max(box.width, box.height) * viewport.camera.scale > 40;
  if (!inside || !large) viewport.show(box);
}

export function stepBack(editor: Editor): void {
  if (editor.cancelGesture()) return;
  if (editor.timeline.looking.value) editor.timeline.end();
  else if (editor.activeProposal.value !== null) focusProposal(editor, null);
  else if (editor.view.state.solo.size) editor.view.set({ solo: new Set() });
  else editor.view.select();
}

export function undo(editor: Editor): void {
  const title = editor.document.value?.undo();
  if (title) toast(`Undone: ${title}`);
}

export function redo(editor: Editor): void {
  const title = editor.document.value?.redo();
  if (title) toast(`Done again: ${title}`);
}

// --- images, submitting and reviewing -------------------------------------------------------------

export function reviewable(editor: Editor): boolean {
  return editor.workspace.value?.annotation?.reviewable ?? false;
}

/** The image before or after this one; in a review, the next one that waits for a verdict. */
export async function step(editor: Editor, by: 1 | -1): Promise<void> {
  const workspace = editor.workspace.value;
  if (!workspace) return;
  if (editor.boot.mode === "review" && by > 0) return goToNext(editor);
  if (editor.boot.mode === "review") return history.back();
  const image = by > 0 ? workspace.next : workspace.previous;
  if (image) await editor.go(image);
}

/** The next image that waits for this person; back to the project when none does. */
export async function goToNext(editor: Editor): Promise<void> {
  const { image, project } = editor.workspace.value ?? {};
  if (!image || !project) return;
  const next = await api.pull(project.id, image.id, editor.boot.mode);
  editor.holding.expect(next);
  if (next.image) await editor.go(next.image, next.annotation ?? null);
  else {
    const done =
      editor.boot.mode === "review"
        ? "Nothing else waits for a review."
        : "That was the last image.";
    toast(done);
    await editor.reload();
  }
}

export async function once(editor: Editor, about: string, act: () => Promise<void>): Promise<void> {
  if (editor.busy.value) return;
  editor.busy.value = true;
  try {
    await act();
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) editor.dialog.value = "login";
    else toastError(error, about);
  } finally {
    editor.busy.value = false;
  }
}

/** Saves what waits, submits that revision, and opens the next image. */
export function submit(editor: Editor): Promise<void> {
  const name = editor.workspace.value?.image.name ?? "";
  return once(editor, name, async () => {
    editor.cancelGesture();
    if (nextLacking(editor)) {
      toast(`${name} is not submitted: a region lacks a required attribute.`, "error");
      editor.view.select();
      return fillIn(editor);
    }
    const result = await editor.saving.submit();
    if (result === "unsaved") {
      return toast(`${name} is not submitted: not everything is saved yet.`, "error");
    }
    if (result === "unanswered") {
      return toast(`${name} is not submitted: the server does not answer.`, "error");
    }
    if (result !== "submitted") return toast(`${name}: ${result.detail}`, "error", result.hint);
    toast(`Submitted: ${name}`);
    await goToNext(editor);
  });
}

export function review(
  editor: Editor,
  verdict: "approve" | "send_back" | "reopen",
  comment: string,
): Promise<void> {
  const { annotation, image } = editor.workspace.value ?? {};
  if (!annotation || !image) return Promise.resolve();
  return once(editor, image.name, async () => {
    let { revision } = annotation;
    if (annotation.fixing) {
      editor.cancelGesture();
      const saved = await editor.saving.settle();
      if (saved === null) {
        toast(`${image.name} is not judged: not everything is saved yet.`, "error");
        return;
      }
      revision = saved;
    }
    await api.verdict(annotation.id, verdict, revision, comment);
    if (verdict === "reopen") {
      await editor.reload();
      return;
    }
    toast(`${verdict === "approve" ? "Approved" : "Sent back"}: ${image.name}`);
    await goToNext(editor);
  });
}

export function addComment(editor: Editor, text: string, replyTo: number | null): Promise<void> {
  const { annotation, image } = editor.workspace.value ?? {};
  const doc = editor.document.value;
  if (!annotation || !image || !doc) return Promise.resolve();
  return once(editor, image.name, async () => {
    const selected = replyTo === null ? editor.view.state.selection[0] : undefined;
    const region = doc.region(selected ?? "");
    const comment = await api.addComment(annotation.id, {
      text,
      x: region ? region.bbox.x + region.bbox.width / 2 : null,
      y: region ? region.bbox.y + region.bbox.height / 2 : null,
      region: region?.uuid ?? null,
      reply_to: replyTo,
    });
    editor.comments.value = [...editor.comments.value, comment];
    editor.stage.invalidateStill();
  });
}

export function resolveComment(editor: Editor, id: number, resolved: boolean): Promise<void> {
  return once(editor, "Comment", async () => {
    const changed = await api.resolveComment(id, resolved);
    editor.comments.value = editor.comments.value.map((one) => (one.id === id ? changed : one));
    editor.stage.invalidateStill();
  });
}
