import type { Document } from "../core/document";
import type { Mask } from "../core/mask";
import { fillHoles, grow, removeIslands, shrink, smooth } from "../core/ops/morphology";
import * as ops from "../core/ops/regions";
import * as actions from "./actions";
import type { Command } from "./commands";
import type { Editor } from "./editor";
import { remembered } from "./preferences";
import { toast, toastError } from "./toasts";

/** Lengths are image pixels. */
export interface OperationSettings {
  /** How far growing and shrinking go, and the reach of smoothing. */
  readonly radius: number;
  /** Parts of fewer pixels are islands. */
  readonly island: number;
  /** How far outlines may be from the mask that they replace. */
  readonly tolerance: number;
  /** Gaps up to this width are closed when a region is fitted to its neighbours. */
  readonly gap: number;
}

export const operations = remembered<OperationSettings>("operations", {
  radius: 2,
  island: 64,
  tolerance: 1,
  gap: 8,
});

/** What can be done with the selected regions besides drawing. */
export function regionCommands(editor: Editor): readonly Command[] {
  const { view } = editor;
  const doc = () => editor.document.value;
  const chosen = () => view.state.selection;
  const free = () =>
    editor.editable.value &&
    chosen().length > 0 &&
    chosen().every((uuid) => {
      const region = doc()?.region(uuid);
      return region && !view.isLocked(region);
    });
  const separate = () => free() && doc()?.kind === "instance";
  const outlined = () =>
    separate() && chosen().some((uuid) => doc()?.region(uuid)?.geometry.type === "polygons");

  const command = (
    id: string,
    title: string,
    keys: readonly string[],
    enabled: () => boolean,
    act: (doc: Document, uuids: readonly string[]) => void,
  ): Command => ({
    id: `region.${id}`,
    title,
    group: "Regions",
    keys,
    enabled,
    run: () => {
      const open = doc();
      if (!open || open.gesture) return;
      try {
        act(open, chosen());
      } catch (error) {
        toastError(error, title);
      }
    },
  });
  const each = (
    id: string,
    title: string,
    keys: string,
    change: (mask: Mask, settings: OperationSettings) => Mask,
  ): Command =>
    command(id, title, [keys], free, (open, uuids) =>
      ops.changeMasks(
        open,
        title,
        uuids,
        (mask) => change(mask, operations.value),
        view.mayPaint(open),
      ),
    );

  return [
    command("merge", "Merge", ["M"], () => free() && chosen().length > 1, ops.merge),
    command(
      "subtract",
      "Subtract the others from the first",
      ["Shift+M"],
      () => free() && chosen().length > 1,
      ops.subtract,
    ),
    command("duplicate", "Duplicate", ["Ctrl+D"], separate, (open, uuids) =>
      view.select(...ops.duplicate(open, uuids)),
    ),
    command("parts", "Make each part a region", ["Shift+K"], free, (open, uuids) =>
      view.select(...uuids, ...uuids.flatMap((uuid) => ops.splitParts(open, uuid))),
    ),
    command("trim", "Fit to the neighbours", ["J"], free, (open, uuids) => {
      for (const uuid of uuids) ops.trimToNeighbours(open, uuid, operations.value.gap);
    }),
    each("holes", "Fill holes", "Shift+F", (mask) => fillHoles(mask)),
    each("islands", "Remove small parts", "Shift+I", (mask, { island }) =>
      removeIslands(mask, island),
    ),
    each("smooth", "Smooth", "Shift+R", (mask, { radius }) => smooth(mask, radius)),
    each("grow", "Grow", "Ctrl+ArrowUp", (mask, { radius }) => grow(mask, radius)),
    each("shrink", "Shrink", "Ctrl+ArrowDown", (mask, { radius }) => shrink(mask, radius)),
    command("toMask", "Convert to a mask", ["Shift+X"], outlined, (open, uuids) => {
      for (const uuid of uuids) ops.convertToMask(open, uuid);
    }),
    command("toPolygons", "Convert to polygons", ["X"], separate, (open, uuids) => {
      const worst = Math.min(
        ...uuids.map((uuid) => ops.convertToPolygons(open, uuid, operations.value.tolerance)),
      );
      toast(`The polygons cover the mask with an IoU of ${worst.toFixed(3)}.`);
    }),
    {
      id: "region.unlabeled",
      title: "Go to the next unlabeled area",
      group: "View",
      keys: ["Shift+U"],
      enabled: () => doc()?.exclusive ?? false,
      run: () => actions.showUnlabeled(editor),
    },
  ];
}
