import { beforeEach, expect, test, vi } from "vitest";
import type { DocumentOptions } from "../core/document";
import { Mask } from "../core/mask";
import { checkDocument, newDocument, picture, rectSpans } from "../core/testing";
import { copyPrevious } from "./copyPrevious";
import type { Editor } from "./editor";

const { workspace, said } = vi.hoisted(() => ({ workspace: vi.fn(), said: [] as string[] }));
vi.mock("../api/client", () => ({ api: { workspace } }));
vi.mock("./toasts", () => ({
  toast: (text: string) => said.push(text),
  toastError: (error: unknown) => said.push(`refused: ${error}`),
}));

const SIZE = { width: 200, height: 150 };
const base = {
  is_crowd: false,
  order: 0,
  attributes: {},
  source: "brush",
  proposal: 12,
  version: 3,
  author: "anna",
};

/** A region of the image before, as the server sends it: a rectangle of 40 × 30 pixels. */
function previous(uuid: string, category: number, x: number, kind: "mask" | "polygons") {
  const rect = { x, y: 10, width: 40, height: 30 };
  const mask = Mask.fromBitmap(SIZE, rect, new Uint8Array(40 * 30).fill(1));
  const ring = [x, 10, x + 40, 10, x + 40, 40, x, 40];
  return {
    ...base,
    uuid,
    category,
    mask: kind === "mask" ? { size: [150, 200], counts: mask.counts() } : null,
    polygons: kind === "polygons" ? [[ring]] : null,
  };
}

function open(options: Partial<DocumentOptions>) {
  const doc = newDocument(options);
  const editor = {
    workspace: { value: { previous: 7 } },
    document: { value: doc },
    busy: { value: false },
    saving: { prepare: async () => undefined },
    edit: (title: string, change: Parameters<typeof doc.edit>[1]) => doc.edit(title, change),
  } as unknown as Editor;
  return { doc, editor };
}

function answer(regions: object[], size = SIZE): void {
  workspace.mockResolvedValue({ image: { name: "before.png", ...size }, annotation: { regions } });
}

beforeEach(() => {
  said.length = 0;
});

test("objects are copied whole, as new regions of this person, in one step", async () => {
  const { doc, editor } = open({ kind: "instance" });
  const before = picture(doc);
  answer([previous("a", 10, 20, "polygons"), previous("b", 10, 50, "mask")]);
  await copyPrevious(editor);
  expect(doc.regions.map(({ area, geometry }) => [area, geometry.type])).toEqual([
    [1200, "polygons"],
    [1200, "mask"],
  ]);
  expect(doc.regions.every(({ uuid }) => uuid !== "a" && uuid !== "b")).toBe(true);
  expect(doc.regions.map(({ proposalId }) => proposalId)).toEqual([null, null]);
  expect(said).toEqual(["Copied from before.png: 2 regions."]);
  doc.undo();
  expect(picture(doc)).toBe(before);
});

test("where a pixel belongs to one region only, what is labeled stays", async () => {
  const { doc, editor } = open({ kind: "semantic" });
  doc.edit("paint", (gesture) => {
    const { uuid } = gesture.add({ categoryId: 1 });
    gesture.paint(uuid, rectSpans(SIZE, { x: 40, y: 0, width: 10, height: 150 }));
  });
  answer([previous("a", 1, 10, "mask"), previous("b", 2, 30, "mask")]);
  await copyPrevious(editor);
  checkDocument(doc);
  // 1 had 1500 pixels and gets the 1200 of "a" but for 10 × 30; 2 gets what both leave free.
  expect(doc.only(1)!.area).toBe(1500 + 1200 - 300);
  expect(doc.only(2)!.area).toBe(1200 - 600);
});

test("an image of another size, or without regions, is refused in words", async () => {
  const { doc, editor } = open({ kind: "instance" });
  answer([previous("a", 10, 20, "mask")], { width: 100, height: 150 });
  await copyPrevious(editor);
  answer([]);
  await copyPrevious(editor);
  expect(doc.regions).toHaveLength(0);
  expect(said).toEqual([
    "before.png is 100 × 150 pixels: its regions do not fit here.",
    "before.png has no regions.",
  ]);
});
