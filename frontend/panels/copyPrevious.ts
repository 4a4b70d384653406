import { api } from "../api/client";
import { fitting } from "../core/attributes";
import { Mask } from "../core/mask";
import { MAX_SLOT } from "../core/store";
import { regionFromWire, type WireRegion } from "../workers/wire";
import type { Editor } from "./editor";
import { toast, toastError } from "./toasts";

/**
 * Copies the regions of one's own annotation of the image before this one: one undo step. Where a
 * pixel belongs to one region only, copies take none that has a region already.
 */
export async function copyPrevious(editor: Editor): Promise<void> {
  const workspace = editor.workspace.value;
  const doc = editor.document.value;
  if (!workspace?.previous || !doc || editor.busy.value) return;
  editor.busy.value = true;
  try {
    await editor.saving.prepare(workspace.previous);
    const { image, annotation } = await api.workspace(workspace.previous, null);
    const regions = annotation?.regions ?? [];
    if (editor.document.value !== doc) return;
    if (regions.length === 0) return toast(`${image.name} has no regions.`);
    if (image.width !== doc.size.width || image.height !== doc.size.height) {
      const size = `${image.width} × ${image.height}`;
      return toast(`${image.name} is ${size} pixels: its regions do not fit here.`, "error");
    }
    editor.edit(`Copy the regions of ${image.name}`, (gesture) => {
      const free = doc.exclusive ? new Uint8Array(MAX_SLOT + 1) : undefined;
      free?.fill(1, 0, 1);
      for (const json of regions) {
        const { geometry, uuid: _, order: __, ...fields } = regionFromWire(json as WireRegion);
        const attributes = fitting(doc.attributesOf(fields.categoryId), fields.attributes);
        const draft = { ...fields, attributes, proposalId: null };
        if (geometry.type === "polygons" && !doc.exclusive) {
          gesture.add({ ...draft, polygons: geometry.polygons });
        } else if (geometry.type === "mask") {
          const target = doc.only(fields.categoryId) ?? gesture.add(draft);
          gesture.paint(target.uuid, Mask.fromCounts(doc.size, geometry.counts), free);
        }
      }
    });
    const many = regions.length === 1 ? "1 region" : `${regions.length} regions`;
    toast(`Copied from ${image.name}: ${many}.`);
  } catch (error) {
    toastError(error, "Copy the regions of the previous image");
  } finally {
    editor.busy.value = false;
  }
}
